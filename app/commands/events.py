"""`tallybook events`: list and replay what Stripe sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from app.audit import life_cycle
from app.audit.entries import of_account
from app.audit.horizon import Horizons
from app.audit.life_cycle import EventQuery
from app.book import Book
from app.commands.book import opened_book
from app.commands.listing import Listing
from app.errors import EventUnknownError
from app.operators.acts import Operator, at_the_machine
from app.webhooks.inbox import Verdict
from app.webhooks.replay import parked, replay

_OPEN = (Verdict.PARKED, Verdict.QUEUED)


async def list_events(
    console: Console,
    query: EventQuery,
    account_id: str | None,
    limit: int,
    data_dir: Path | None,
    *,
    as_json: bool = False,
) -> int:
    """`tallybook events list`."""
    async with opened_book(data_dir) as book:
        of = await of_account(book.database, account_id)
        query = msgspec.structs.replace(query, of_account=of)
        page = await life_cycle.events(book.database, Horizons(), query, None, limit)
    listing = Listing(
        *("event", "received", "type", "verdict", "tries", "next try", "reason"),
        least=("tries", "next try", "received"),
    )
    for row in page.rows:
        listing.add(
            row["id"],
            row["received_at"],
            row["type"],
            row["verdict"],
            row["attempt_count"],
            row["next_attempt_at"],
            row["verdict_reason"],
        )
    listing.show(console, as_json=as_json)
    if page.next_cursor is not None:
        Console(stderr=True).print("There are more: --limit shows them.", style="dim")
    return 0


async def replay_events(
    console: Console,
    event_ids: Sequence[str],
    reason: str | None,
    data_dir: Path | None,
    *,
    as_json: bool = False,
) -> int:
    """`tallybook events replay`; all that are parked where no id is given."""
    listing = Listing("event", "outcome", "reason")
    code = 0
    async with opened_book(data_dir) as book:
        async for event_id in _named(event_ids) if event_ids else parked(book):
            outcome, why = await _replay(book, event_id, at_the_machine(reason))
            code = max(code, int(outcome == "unknown" or outcome in _OPEN))
            listing.add(event_id, outcome, why)
    listing.show(console, as_json=as_json)
    return code


async def _named(event_ids: Sequence[str]) -> AsyncIterator[str]:
    for event_id in event_ids:
        yield event_id


async def _replay(book: Book, event_id: str, by: Operator) -> tuple[str, str]:
    try:
        done = await replay(book, event_id, by)
    except EventUnknownError as error:
        return "unknown", error.detail
    return str(done.outcome), done.reason
