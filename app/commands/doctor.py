"""`tallybook doctor`: examine, print a table, tell by the exit code."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from app.commands.listing import Listing
from app.doctor.examine import examine
from app.doctor.finding import Level
from app.doctor.surroundings import surroundings


async def doctor(
    console: Console,
    url: str | None,
    data_dir: Path | None,
    tiers: Path | None,
    *,
    as_json: bool = False,
) -> int:
    """1 where something failed; a warning alone is 0."""
    found = await examine(surroundings(url, data_dir, tiers))
    title = "Is this installation ready?"
    if console.is_terminal and not as_json:  # three columns of sentences would be too narrow
        listing = Listing("check", "", "finding, and the remedy", title=title)
        for one in found:
            remedy = f" → {one.remedy}" if one.remedy else ""
            listing.add(one.name, str(one.level), f"{one.said}{remedy}")
    else:
        listing = Listing("check", "level", "finding", "remedy")
        for one in found:
            listing.add(one.name, str(one.level), one.said, one.remedy)
    listing.show(console, as_json=as_json)
    counts = {level: sum(one.level is level for one in found) for level in Level}
    if not as_json:
        console.print(", ".join(f"{count} {level}" for level, count in counts.items()))
    return 1 if counts[Level.FAIL] else 0
