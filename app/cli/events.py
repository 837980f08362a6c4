"""`tallybook events`: list, replay and scrub what Stripe sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import typer

from app.audit import life_cycle
from app.audit.entries import of_account
from app.audit.horizon import Horizons
from app.audit.life_cycle import EventQuery
from app.book import Book
from app.cli.listing import Listing
from app.cli.which_book import opened_book, opened_by_owner
from app.cli.words import AsJson, BookDir, Why, command, console, errors_console, group
from app.erasure.erase import scrub
from app.errors import EventUnknownError
from app.operators.acts import Operator, at_the_machine
from app.webhooks.inbox import Verdict
from app.webhooks.replay import parked as parked_events
from app.webhooks.replay import replay

_OPEN: Final = (Verdict.PARKED, Verdict.QUEUED)

events = group("Stripe's events as they were received.")

VerdictName = Literal["applied", "stale", "ignored", "parked", "refused", "queued"]


@command(events, "list")
async def list_events(
    verdict: Annotated[VerdictName | None, typer.Option(help="Only those of this verdict.")] = None,
    account: Annotated[
        str | None, typer.Option(help="Of the customers that are tied to this account.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Of this customer, cus_….")] = None,
    subscription: Annotated[str | None, typer.Option(help="Of this subscription.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Such as invoice.paid.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the newest events with their verdicts and reasons."""
    async with opened_book(data_dir) as book:
        query = EventQuery(
            verdict=verdict,
            type=event_type,
            subscription_id=subscription,
            customer_id=customer,
            of_account=await of_account(book.database, account),
            order="desc",
        )
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
        errors_console.print("There are more: --limit shows them.", style="dim")


@command(events, "scrub", asks=True)
async def scrub_events(
    older_than: Annotated[
        int, typer.Option("--older-than", min=1, metavar="DAYS", help="Received so long ago.")
    ],
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Take names, addresses, e-mail and the like out of what Stripe sent, once it is old.

    Ids, amounts and times stay, so that replay and verify work. Only the schema's owner may:
    DATABASE_OWNER_URL names its login. A timer that runs it is a rule for how long people are kept.
    """
    by = at_the_machine(reason)
    before = datetime.now(UTC) - timedelta(days=older_than)
    async with opened_by_owner(data_dir, command_timeout_s=None) as database:
        count = await scrub(database, before, by)
    console.print(f"Took the personal members out of {count:,} events.", highlight=False)


@command(events, "replay", asks=True)
async def replay_events(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT_ID", help="Such as `list` shows.")
    ] = None,
    parked: Annotated[bool, typer.Option("--parked", help="All that are parked.")] = False,
    reason: Why = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> int:
    """Try stored events again; what was applied is not applied twice.

    The exit code is 1 where one stays parked, is queued for another try or is not known.
    """
    if bool(event_ids) == parked:
        raise typer.BadParameter("name events, or say --parked")
    by = at_the_machine(reason)
    listing = Listing("event", "outcome", "reason")
    code = 0
    async with opened_book(data_dir) as book:
        async for event_id in _named(event_ids) if event_ids else parked_events(book):
            outcome, why = await _replay(book, event_id, by)
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
