"""`tallybook webhooks`: endpoints of webhooks that we send, and the messages to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from app.commands.book import opened_book, webhook_sender
from app.commands.listing import Listing
from app.errors import ConfigurationError, TallybookError
from app.infrastructure import ids
from app.operators.acts import at_the_machine
from app.outgoing import endpoints, messages
from app.outgoing.endpoints import Endpoint
from app.outgoing.message import EventType


async def list_endpoints(
    console: Console, data_dir: Path | None = None, *, as_json: bool = False
) -> int:
    """`tallybook webhooks list`."""
    listing = Listing(
        "endpoint", "url", "events", "ordered", "waiting", "failing since", "disabled"
    )
    async with opened_book(data_dir) as book:
        page = await endpoints.listed(book.database, None, endpoints.ENDPOINTS_MAX)
    for row in page.rows:
        listing.add(
            row["id"],
            row["url"],
            row["events"] or ["all"],
            row["ordered"],
            row["pending_count"],
            row["failing_since"],
            row["disabled_reason"],
        )
    listing.show(console, as_json=as_json)
    return 0


async def put_endpoint(
    console: Console,
    endpoint_id: str,
    url: str,
    events: Sequence[str] | None,
    ordered: bool,
    reason: str | None,
    data_dir: Path | None = None,
) -> int:
    """`tallybook webhooks put`."""
    if re.fullmatch(endpoints.ENDPOINT_ID, endpoint_id) is None:
        raise ConfigurationError("An endpoint's id is 1 to 64 of the characters A-Za-z0-9._~-.")
    unknown = set(events or ()) - set(EventType)
    if unknown:
        raise ConfigurationError(
            f"No such type: {', '.join(sorted(unknown))}. There are: {', '.join(EventType)}."
        )
    chosen = None if events is None else [EventType(event) for event in events]
    sender = webhook_sender(data_dir)
    async with opened_book(data_dir) as book:
        by = at_the_machine(reason)
        stands = await endpoints.put(book, sender, endpoint_id, url, chosen, ordered, by)
    if stands.secret is None:
        console.print(f"Changed {endpoint_id}; its secret stays.", highlight=False)
    else:
        _show(console, stands)
    return 0


async def roll_secret(
    console: Console, endpoint_id: str, reason: str | None, data_dir: Path | None = None
) -> int:
    """`tallybook webhooks roll`."""
    sender = webhook_sender(data_dir)
    async with opened_book(data_dir) as book:
        by = at_the_machine(reason)
        _show(console, await endpoints.roll_secret(book, sender, endpoint_id, by))
    return 0


def _show(console: Console, stands: Endpoint) -> None:
    console.print(stands.secret, soft_wrap=True, highlight=False, markup=False)
    if console.is_terminal:
        console.print("It verifies the messages, and is shown this once.", style="dim")


async def delete_endpoint(
    console: Console, endpoint_id: str, reason: str | None, data_dir: Path | None = None
) -> int:
    """`tallybook webhooks delete`."""
    async with opened_book(data_dir) as book:
        await endpoints.delete(book, endpoint_id, at_the_machine(reason))
    console.print(f"Deleted {endpoint_id}.", highlight=False)
    return 0


async def list_messages(
    console: Console,
    endpoint_id: str | None,
    state: str | None,
    limit: int,
    data_dir: Path | None = None,
    *,
    as_json: bool = False,
) -> int:
    """`tallybook webhooks messages`."""
    listing = Listing(
        *("message", "created", "endpoint", "type", "account", "state", "tries", "last"),
        least=("tries", "last", "created"),
    )
    async with opened_book(data_dir) as book:
        query = messages.MessageQuery(endpoint_id=endpoint_id, state=state)
        rows = await messages.newest(book.database, query, limit)
    for row in rows:
        listing.add(
            ids.public(ids.MESSAGE, row["id"]),
            row["created_at"],
            row["endpoint_id"],
            row["type"],
            row["public_account_id"],
            row["state"],
            row["attempt_count"],
            row["last_error"] or row["last_status"],
        )
    listing.show(console, as_json=as_json)
    return 0


async def redeliver_messages(
    console: Console,
    message_ids: Sequence[str],
    reason: str | None,
    data_dir: Path | None = None,
    *,
    as_json: bool = False,
) -> int:
    """`tallybook webhooks redeliver`, by ids; 1 where one is not known or cannot be sent."""
    listing = Listing("message", "outcome")
    code = 0
    async with opened_book(data_dir) as book:
        for message_id in message_ids:
            number = ids.number(ids.MESSAGE, message_id) or 0
            try:
                row = await messages.redeliver(book, number, at_the_machine(reason))
            except TallybookError as error:
                code = 1
                listing.add(message_id, error.detail)
            else:
                listing.add(message_id, row["state"])
    listing.show(console, as_json=as_json)
    return code


async def redeliver_span(
    console: Console,
    endpoint_id: str,
    start: datetime,
    until: datetime,
    reason: str | None,
    data_dir: Path | None = None,
) -> int:
    """`tallybook webhooks redeliver`, by a time."""
    async with opened_book(data_dir) as book:
        by = at_the_machine(reason)
        count = await messages.redeliver_span(book, endpoint_id, start, until, by)
    console.print(f"{count} messages are sent again.", highlight=False)
    return 0
