"""The table of the peers as Markdown, and its place in ops/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from ops.benchmarks.peers.rounds import Row
from ops.benchmarks.quiet import Machine

PAGE: Final = Path(__file__).parents[2] / "benchmarks.md"
BEGIN: Final = "<!-- peers: written by `make bench-peers WRITE=1` -->"
END: Final = "<!-- peers: end -->"


def markdown(rows: Sequence[Row], machine: Machine, about: str) -> str:
    """A paragraph with date and machine, and a table of all cases."""
    today = datetime.now(UTC).strftime("%-d %B %Y")
    lines = [
        f"{today}; {machine.described()}; {about}. {machine.told()}",
        "",
        "| | who | a second | of the floor |",
        "|---|---|---|---|",
    ]
    for case, of_case in groupby(rows, lambda row: row.case):
        for number, row in enumerate(of_case):
            told = "" if number else case
            lines.append(f"| {told} | {row.who} | {row.rate:,.0f} | {row.of_floor:.2f} |")
    return "\n".join(lines)


def write(table: str) -> None:
    """Put the table where the last one stands."""
    text = PAGE.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise RuntimeError(f"{PAGE.name} has no place for the table: {BEGIN} … {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
