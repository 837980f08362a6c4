"""Lists for eyes and for pipes: a table at a terminal, a row a line elsewhere, JSON where asked.

Numbers and instants are given as they are: a terminal gets `1,005` and minutes, a pipe `1005` and
seconds, JSON the number and RFC 3339.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from app.infrastructure.clock import NEVER

# What a cell may say for itself, in whichever list.
_STYLES: Final = {
    "ok": "green",
    "mended": "green",
    "warn": "yellow",
    "found": "yellow",
    "waiting": "cyan",
    "parked": "yellow",
    "fail": "red",
    "failed": "red",
    "unmended": "red",
}
_WIDTH_MAX: Final = 100_000
_TEXT_MIN: Final = 24  # of sentences, that they can be read
_PADDING: Final = 3  # of a column
_WORDS_SHARE: Final = 0.75  # of the width, that texts may be read beside them


class Change(int):
    """A number that says which way it goes: +5, -3."""


class Listing:
    """Rows under named columns; what is a word, such as an id, is shown whole to be copied.

    Columns that are ``least`` wanted give way where a terminal is too narrow, the first of them
    first.
    """

    def __init__(self, *columns: str, title: str | None = None, least: Iterable[str] = ()) -> None:
        self.columns = columns
        self.title = title
        self.rows: list[tuple[object, ...]] = []
        self._least = [columns.index(name) for name in least]

    def add(self, *cells: object) -> None:
        """Add a row; None is an empty cell."""
        self.rows.append(cells)

    def members(self) -> list[dict[str, object]]:
        """The rows as JSON has them."""
        return [dict(zip(self.columns, map(plain, row), strict=True)) for row in self.rows]

    def show(self, console: Console, *, as_json: bool = False) -> None:
        """Print it: to standard output goes nothing else."""
        if as_json:
            show_json(console, self.members())
        elif console.is_terminal:
            console.print(self._fitting(console))
        else:
            for line in (self.columns, *([_in_pipe(cell) for cell in row] for row in self.rows)):
                _print(console, "\t".join(line))

    def _fitting(self, console: Console) -> Table | str:
        if not self.rows:
            return "Nothing to list."
        # Columns that are empty throughout take none of the others' room.
        shown = [at for at, _ in enumerate(self.columns) if at == 0 or self._is_used(at)]
        stacked = False
        for at in (None, *self._least):
            if self._needs(shown, stacked=stacked) <= console.width:
                break
            if at is None:
                stacked = True
            elif at in shown:
                shown.remove(at)
        return self._table(shown, console.width, stacked=stacked)

    def _table(self, shown: list[int], width: int, *, stacked: bool) -> Table:
        whole = self._whole(shown, width, stacked=stacked)
        columns = [
            Column(
                self._heading(at, stacked=stacked),
                no_wrap=at in whole,
                overflow="fold",
                justify="right" if self._is_of(at, (int,)) else "left",
            )
            for at in shown
        ]
        table = Table(*columns, title=self.title, box=box.SIMPLE_HEAD)
        for row in self.rows:
            table.add_row(*(_at_terminal(row[at]) for at in shown))
        return table

    def _needs(self, shown: list[int], *, stacked: bool) -> int:
        """The width at which texts are folded no narrower than they can be read."""
        return sum(
            min(self._width(at, stacked=stacked), _TEXT_MIN if self._is_text(at) else _WIDTH_MAX)
            for at in shown
        )

    def _is_text(self, at: int) -> bool:
        return any(" " in _at_terminal(row[at]).plain for row in self.rows) and not self._is_of(
            at, (int, datetime)
        )

    def _whole(self, shown: list[int], width: int, *, stacked: bool) -> set[int]:
        """The columns that are never folded: numbers, then words as far as texts keep room."""
        whole = {at for at in shown if self._is_of(at, (int, datetime))}
        taken = sum(self._width(at, stacked=stacked) for at in whole)
        for at in shown:
            words = not self._is_text(at)
            more = self._width(at, stacked=stacked)
            if at not in whole and words and taken + more <= width * _WORDS_SHARE:
                whole.add(at)
                taken += more
        return whole

    def _width(self, at: int, *, stacked: bool) -> int:
        name = self._heading(at, stacked=stacked).split("\n")
        return _PADDING + max(self._cell_width(at), *map(len, name))

    def _cell_width(self, at: int) -> int:
        cells = (line for row in self.rows for line in _at_terminal(row[at]).plain.split("\n"))
        return max(map(len, cells))

    def _heading(self, at: int, *, stacked: bool) -> str:
        """A heading that is wider than what stands below it can give way: word under word."""
        name = self.columns[at]
        return name.replace(" ", "\n") if stacked and len(name) > self._cell_width(at) else name

    def _is_used(self, at: int) -> bool:
        return any(_in_pipe(row[at]) for row in self.rows)

    def _is_of(self, at: int, kinds: tuple[type, ...]) -> bool:
        return all(row[at] is None or isinstance(row[at], kinds) for row in self.rows)


def show_json(console: Console, told: object) -> None:
    """Print it as JSON, as it is whatever the console's width."""
    _print(console, json.dumps(told, indent=2, ensure_ascii=False))


def by_name(named: Mapping[str, object]) -> Listing:
    """One thing, member by member; the first is the heading."""
    (first, name), *others = named.items()
    listing = Listing(first, str(name))
    for member, value in others:
        if _in_pipe(value):
            listing.add(member, value)
    return listing


def _at_terminal(cell: object) -> Text:
    if isinstance(cell, Change):
        return Text(f"{cell:+,}")
    if isinstance(cell, datetime) and cell.year != NEVER.year:
        return Text(f"{cell:%Y-%m-%d %H:%M}")
    if isinstance(cell, int) and not isinstance(cell, bool):
        return Text(f"{cell:,}")
    if isinstance(cell, list | tuple):
        return Text("\n".join(map(str, cell)))
    text = _in_pipe(cell)
    return Text(text, style=_STYLES.get(text, ""))


def _in_pipe(cell: object) -> str:
    """One line, whatever the cell holds; a tab would be a column."""
    if isinstance(cell, Change):
        return f"{cell:+}"
    if isinstance(cell, datetime):
        return "" if cell.year == NEVER.year else f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, bool):
        return "yes" if cell else ""
    if isinstance(cell, list | tuple):
        return ", ".join(map(str, cell))
    return "" if cell is None else str(cell).replace("\n", " ").replace("\t", " ")


def plain(cell: object) -> object:
    """The cell as JSON has it."""
    if isinstance(cell, datetime):
        return None if cell.year == NEVER.year else f"{cell:%Y-%m-%dT%H:%M:%S.%fZ}"
    if isinstance(cell, Change):
        return int(cell)
    if cell is None or isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, list | tuple):
        return [plain(one) for one in cell]
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _print(console: Console, line: str) -> None:
    console.file.write(f"{line}\n")  # the console would make spaces of tabs
