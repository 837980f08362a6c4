"""`tallybook why`: where an account's credits went."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.audit.horizon import Horizons
from app.audit.why import Why, why
from app.cli.account_credits import AccountArgument
from app.cli.listing import Change, Listing
from app.cli.which_book import opened_book
from app.cli.words import AsJson, BookDir, console, errors_console
from app.infrastructure import ids


async def tell_why(
    account_id: AccountArgument,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A date of the account's own.")
    ] = None,
    month: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m"], metavar="YYYY-MM", help="Or a month.")
    ] = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Say where an account's credits went: today, on a date, or in a month.

    Sentences that close from what there was to what there is, then the acts behind them.
    """
    day, first = on and on.date(), month and month.date()
    async with opened_book(data_dir) as book:
        told = await why(book.database, Horizons(), account_id, day, first)
    if not as_json:
        for sentence in told.sentences:
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if told.moves or as_json:
        _acts(told).show(console, as_json=as_json)
    if told.truncated:
        errors_console.print("There are more acts: ask for a day.", style="dim")


def _acts(told: Why) -> Listing:
    listing = Listing("journal", "act", "change", "at (UTC)", "by", "event", "reason",
                      least=("by", "event"))  # fmt: skip
    for one in told.moves:
        listing.add(
            ids.public(ids.JOURNAL, one.journal_id),
            one.kind,
            Change(one.change),
            one.at,
            one.actor,
            one.event_id,
            one.reason,
        )
    return listing
