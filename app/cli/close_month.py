"""`tallybook close-month`: check a month, write its pack, and show both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.audit.roll_forward import Flows, RollForward
from app.cli.listing import Listing
from app.cli.which_book import database_url
from app.cli.words import BookDir, console, errors_console
from app.infrastructure.db import opened
from app.verify import month as months
from app.verify.month import FLOWS, Check
from app.web.exports import FORMS, FormName


async def close_month(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month that is over, in UTC.")],
    output: Annotated[
        Path | None, typer.Option(file_okay=False, help="The folder; else close-YYYY-MM.")
    ] = None,
    data_dir: BookDir = None,
) -> int:
    """Check a month and write the pack that an accountant keeps.

    Roll-forward by lot source (breakage, deferred credits) and by tier, trial balance, usage by
    tier, all entries, the checks, and checksums of all. The exit code is 1 where something does
    not hold.
    """
    folder = output or Path(f"close-{month}")
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        with errors_console.status("adding up") as status:
            done = await months.close_month(
                database, month, folder, FORMS[FormName.CSV], status.update
            )
    _show(month, done.moved, done.checks)
    console.print(
        f"{len(done.sums)} files in {folder}; `cd {folder} && sha256sum -c SHA256SUMS` checks."
    )
    return 1 if any(one.holds is False for one in done.checks) else 0


def _show(month: str, moved: RollForward, checks: Sequence[Check]) -> None:
    _forward(month, moved, {one.lot_source: one for one in moved.by_lot_source or ()})
    _forward(f"{month} by tier", moved, {one.tier: one for one in moved.by_tier or ()})
    told = Listing("check", "found", "holds")
    for one in checks:
        told.add(one.name, one.found, one.word)
    told.show(console)


def _forward(title: str, moved: RollForward, lines: Mapping[str, Flows]) -> None:
    listing = Listing("", "all", *lines, title=title)
    for name in FLOWS:
        each = (getattr(one, name) for one in lines.values())
        listing.add(name, getattr(moved, name, 0), *each)
    listing.show(console)
