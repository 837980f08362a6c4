"""`tallybook doctor`: examine, print a table, tell by the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.listing import Listing
from app.cli.which_book import running_folder
from app.cli.words import AsJson, BookDir, console
from app.doctor.examine import examine
from app.doctor.finding import Level
from app.doctor.surroundings import surroundings


async def doctor(
    url: Annotated[
        str | None, typer.Option(help="Where the service answers, as its callers see it.")
    ] = None,
    data_dir: BookDir = None,
    tiers: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The catalogue that should be applied."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check an installation against the rollout's list; exit code 1 where something failed.

    With a URL it sends a signed, harmless event, which the inbox keeps as ignored.
    """
    found = await examine(surroundings(url, running_folder(data_dir), tiers))
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
