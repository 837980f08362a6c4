"""`tallybook webhooks`: endpoints of webhooks that we send, and the messages to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.listing import Listing
from app.cli.which_book import opened_book, webhook_sender
from app.cli.words import AsJson, BookDir, Why, command, console, group, parse_instant
from app.errors import ConfigurationError, TallybookError
from app.infrastructure import ids
from app.operators.acts import Operator, at_the_machine
from app.outgoing import endpoints, messages
from app.outgoing.endpoints import Endpoint
from app.outgoing.message import EventType

webhooks = group("Webhooks that we send: endpoints, and the messages to them.")

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]
StateName = Literal["pending", "delivered", "dead", "canceled"]


@command(webhooks, "list")
async def list_endpoints(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List the endpoints and how each stands."""
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


@command(webhooks, "put", asks=True)
async def put_endpoint(
    endpoint_id: EndpointId,
    url: Annotated[str, typer.Argument(metavar="URL", help="An https address.")],
    event: Annotated[
        list[str] | None, typer.Option(help="A type, such as balance.low; repeatable; else all.")
    ] = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="Send an account's messages one after another.")
    ] = False,
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Make an endpoint and show its secret, this once; or change one, and enable it."""
    if re.fullmatch(endpoints.ENDPOINT_ID, endpoint_id) is None:
        raise ConfigurationError("An endpoint's id is 1 to 64 of the characters A-Za-z0-9._~-.")
    unknown = set(event or ()) - set(EventType)
    if unknown:
        raise ConfigurationError(
            f"No such type: {', '.join(sorted(unknown))}. There are: {', '.join(EventType)}."
        )
    chosen = [EventType(one) for one in event] if event else None
    sender = webhook_sender(data_dir)
    async with opened_book(data_dir) as book:
        by = at_the_machine(reason)
        stands = await endpoints.put(book, sender, endpoint_id, url, chosen, ordered, by)
    if stands.secret is None:
        console.print(f"Changed {endpoint_id}; its secret stays.", highlight=False)
    else:
        _show(stands)


@command(webhooks, "roll", asks=True)
async def roll_secret(
    endpoint_id: EndpointId, reason: Why = None, data_dir: BookDir = None
) -> None:
    """Make another secret and show it; the one before signs too for a day."""
    sender = webhook_sender(data_dir)
    async with opened_book(data_dir) as book:
        by = at_the_machine(reason)
        _show(await endpoints.roll_secret(book, sender, endpoint_id, by))


def _show(stands: Endpoint) -> None:
    console.print(stands.secret, soft_wrap=True, highlight=False, markup=False)
    if console.is_terminal:
        console.print("It verifies the messages, and is shown this once.", style="dim")


@command(webhooks, "delete", asks=True)
async def delete_endpoint(
    endpoint_id: EndpointId, reason: Why = None, data_dir: BookDir = None
) -> None:
    """Delete an endpoint; what waited for it is canceled."""
    async with opened_book(data_dir) as book:
        await endpoints.delete(book, endpoint_id, at_the_machine(reason))
    console.print(f"Deleted {endpoint_id}.", highlight=False)


@command(webhooks, "messages")
async def list_messages(
    endpoint: Annotated[str | None, typer.Option(help="Only those to this endpoint.")] = None,
    state: Annotated[StateName | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List messages and where their delivery stands."""
    listing = Listing(
        *("message", "created", "endpoint", "type", "account", "state", "tries", "last"),
        least=("tries", "last", "created"),
    )
    async with opened_book(data_dir) as book:
        query = messages.MessageQuery(endpoint_id=endpoint, state=state)
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


@command(webhooks, "redeliver", asks=True)
async def redeliver(
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="MESSAGE_ID", help="Such as `messages` shows.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="All that this endpoint was told …")] = None,
    start: Annotated[
        datetime | None,
        typer.Option("--from", parser=parse_instant, metavar="INSTANT", help="… from here on,"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", parser=parse_instant, metavar="INSTANT", help="and before."),
    ] = None,
    reason: Why = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> int:
    """Send messages again, by their ids or by a time, whatever became of them before.

    The exit code is 1 where a message is not known or cannot be sent.
    """
    by = at_the_machine(reason)
    if message_ids and endpoint is None and start is None and until is None:
        return await _redeliver_messages(message_ids, by, data_dir, as_json=as_json)
    if endpoint is None or start is None or until is None or message_ids:
        raise typer.BadParameter("name messages, or say --endpoint, --from and --to")
    async with opened_book(data_dir) as book:
        count = await messages.redeliver_span(book, endpoint, start, until, by)
    console.print(f"{count} messages are sent again.", highlight=False)
    return 0


async def _redeliver_messages(
    message_ids: Sequence[str], by: Operator, data_dir: Path | None, *, as_json: bool
) -> int:
    listing = Listing("message", "outcome")
    code = 0
    async with opened_book(data_dir) as book:
        for message_id in message_ids:
            number = ids.row_number(ids.MESSAGE, message_id)
            try:
                row = await messages.redeliver(book, number, by)
            except TallybookError as error:
                code = 1
                listing.add(message_id, error.detail)
            else:
                listing.add(message_id, row["state"])
    listing.show(console, as_json=as_json)
    return code
