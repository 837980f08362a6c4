"""`tallybook events`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from app.cli.words import AsJson, BookDir, Why, console, group, run
from app.commands.why import why

events = group("Stripe's events as they were received.")

VerdictName = Literal["applied", "stale", "ignored", "parked", "refused", "queued"]


@events.command("list")
def events_list(
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
    from app.audit.life_cycle import EventQuery
    from app.commands.events import list_events

    query = EventQuery(
        verdict=verdict,
        type=event_type,
        subscription_id=subscription,
        customer_id=customer,
        order="desc",
    )
    run(list_events(console, query, account, limit, data_dir, as_json=as_json))


@events.command("scrub")
def events_scrub(
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
    from app.commands.erase import scrub_events

    run(scrub_events(console, older_than, why(reason), data_dir))


@events.command("replay")
def events_replay(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT_ID", help="Such as `list` shows.")
    ] = None,
    parked: Annotated[bool, typer.Option("--parked", help="All that are parked.")] = False,
    reason: Why = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Try stored events again; what was applied is not applied twice.

    The exit code is 1 where one stays parked, is queued for another try or is not known.
    """
    from app.commands.events import replay_events

    if bool(event_ids) == parked:
        raise typer.BadParameter("name events, or say --parked")
    run(replay_events(console, event_ids or [], why(reason), data_dir, as_json=as_json))
