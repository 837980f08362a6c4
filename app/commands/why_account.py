"""`tallybook why`: where an account's credits went."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console

from app.audit.horizon import Horizons
from app.audit.why import Why, why
from app.commands.book import opened_book
from app.commands.listing import Change, Listing
from app.infrastructure import ids


async def tell_why(
    console: Console,
    public_id: str,
    on: date | None,
    month: date | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """`tallybook why`: sentences, then the acts behind them; with ``as_json`` the acts alone."""
    async with opened_book(data_dir) as book:
        told = await why(book.database, Horizons(), public_id, on, month)
    if not as_json:
        for sentence in told.sentences:
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if told.moves or as_json:
        _acts(told).show(console, as_json=as_json)
    if told.truncated:
        Console(stderr=True).print("There are more acts: ask for a day.", style="dim")
    return 0


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
