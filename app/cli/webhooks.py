"""`tallybook webhooks`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import typer

from app.cli.words import AsJson, BookDir, Why, console, group, parse_instant, run
from app.commands.why import why

webhooks = group("Webhooks that we send: endpoints, and the messages to them.")

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]
StateName = Literal["pending", "delivered", "dead", "canceled"]


@webhooks.command("list")
def webhooks_list(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List the endpoints and how each stands."""
    from app.commands.webhooks import list_endpoints

    run(list_endpoints(console, data_dir, as_json=as_json))


@webhooks.command("put")
def webhooks_put(
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
    from app.commands.webhooks import put_endpoint

    chosen = event or None
    run(put_endpoint(console, endpoint_id, url, chosen, ordered, why(reason), data_dir))


@webhooks.command("roll")
def webhooks_roll(endpoint_id: EndpointId, reason: Why = None, data_dir: BookDir = None) -> None:
    """Make another secret and show it; the one before signs too for a day."""
    from app.commands.webhooks import roll_secret

    run(roll_secret(console, endpoint_id, why(reason), data_dir))


@webhooks.command("delete")
def webhooks_delete(endpoint_id: EndpointId, reason: Why = None, data_dir: BookDir = None) -> None:
    """Delete an endpoint; what waited for it is canceled."""
    from app.commands.webhooks import delete_endpoint

    run(delete_endpoint(console, endpoint_id, why(reason), data_dir))


@webhooks.command("messages")
def webhooks_messages(
    endpoint: Annotated[str | None, typer.Option(help="Only those to this endpoint.")] = None,
    state: Annotated[StateName | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List messages and where their delivery stands."""
    from app.commands.webhooks import list_messages

    run(list_messages(console, endpoint, state, limit, data_dir, as_json=as_json))


@webhooks.command("redeliver")
def webhooks_redeliver(
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
) -> None:
    """Send messages again, by their ids or by a time, whatever became of them before."""
    from app.commands.webhooks import redeliver_messages, redeliver_span

    if message_ids and endpoint is None and start is None and until is None:
        run(redeliver_messages(console, message_ids, why(reason), data_dir, as_json=as_json))
    elif endpoint is not None and start is not None and until is not None and not message_ids:
        run(redeliver_span(console, endpoint, start, until, why(reason), data_dir))
    else:
        raise typer.BadParameter("name messages, or say --endpoint, --from and --to")
