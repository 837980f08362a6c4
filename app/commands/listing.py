"""Lists for eyes and for pipes: a table at a terminal, a row a line elsewhere, JSON where asked."""

from __future__ import annotations

import json

from rich import box
from rich.console import Console
from rich.table import Column, Table


class Listing:
    """Rows under named columns; the first is to be copied whole."""

    def __init__(self, *columns: str, title: str | None = None) -> None:
        self.columns = columns
        self.title = title
        self.rows: list[tuple[str, ...]] = []

    def add(self, *cells: object) -> None:
        """Add a row; None is an empty cell."""
        self.rows.append(tuple("" if cell is None else str(cell) for cell in cells))

    def show(self, console: Console, *, as_json: bool = False) -> None:
        """Print it: to standard output goes nothing else."""
        if as_json:
            found = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
            _print(console, json.dumps(found, indent=2, ensure_ascii=False))
        elif console.is_terminal:
            console.print(self._table(), markup=False)
        else:
            for line in (self.columns, *self.rows):
                _print(console, "\t".join(cell.replace("\n", " ") for cell in line))

    def _table(self) -> Table:
        # Columns that are empty throughout take none of the others' room.
        shown = [at for at, _ in enumerate(self.columns) if at == 0 or self._is_used(at)]
        columns = [Column(self.columns[at], no_wrap=at == 0, overflow="fold") for at in shown]
        table = Table(*columns, title=self.title, box=box.SIMPLE_HEAD)
        for row in self.rows:
            table.add_row(*(row[at] for at in shown))
        return table

    def _is_used(self, at: int) -> bool:
        return any(row[at] for row in self.rows)


def _print(console: Console, line: str) -> None:
    console.file.write(f"{line}\n")  # the console would make spaces of tabs
