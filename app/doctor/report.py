"""`tallybook doctor`: examine, print a table, tell by the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.doctor.examine import examine
from app.doctor.finding import Finding, Level
from app.doctor.surroundings import surroundings

_COLORS: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


async def doctor(
    console: Console, url: str | None, data_dir: Path | None, tiers: Path | None
) -> int:
    """1 where something failed; a warning alone is 0."""
    found = await examine(surroundings(url, data_dir, tiers))
    console.print(_table(found))
    counts = {level: sum(one.level is level for one in found) for level in Level}
    console.print(", ".join(f"{count} {level}" for level, count in counts.items()))
    return 1 if counts[Level.FAIL] else 0


def _table(found: list[Finding]) -> Table:
    table = Table("check", "", "finding", "remedy", title="Is this installation ready?")
    for one in found:
        level = f"[{_COLORS[one.level]}]{one.level}[/]"
        table.add_row(one.name, level, escape(one.said), escape(one.remedy))
    return table
