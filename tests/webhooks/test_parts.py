"""Each part of an event counts if it can be read; an end needs an id and a time alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_events import make_customer_event, make_invoice_event, make_subscription_event

UNREADABLE = (None, 7, {"name": "A"}, ["cus_1"])


def seconds(count: int) -> datetime:
    return NOW + timedelta(seconds=count)


def snapshot(event_id: str, kind: str, at: int, change: dict[str, Any], **more: Any) -> Any:
    """An event with parts of its subscription replaced."""
    event = make_subscription_event(event_id, kind, seconds(at), **more)
    event["data"]["object"].update(change)
    return event


async def reason(api: Api, event_id: str) -> str:
    told = (await api.get(f"/api/v1/events/{event_id}")).json()
    return f"{told['verdict']}: {told['reason']}"


async def stands(api: Api) -> tuple[str, str]:
    account = await api.account("cus_1")
    return account["state"], account["tier"]


@pytest.mark.parametrize("customer", UNREADABLE)
async def test_a_known_subscriptions_customer_is_known(api: Api, database, customer) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    update = snapshot("evt_2", "updated", 1, {"customer": customer}, status="unpaid", previous={})
    assert await api.deliver(update) == "parked"
    assert "customer is" in await reason(api, "evt_2")
    assert await stands(api) == ("past_due", "FREE")
    await api.deliver(snapshot("evt_3", "updated", 2, {}, previous={}))
    failed = make_invoice_event("evt_4", "payment_failed", seconds(3))
    failed["data"]["object"]["customer"] = customer
    assert await api.deliver(failed) == "parked"
    assert await stands(api) == ("past_due", "PRO")
    assert await api.deliver(snapshot("evt_5", "deleted", 4, {"customer": customer})) == "applied"
    assert await stands(api) == ("canceled", "FREE")
    assert await differences(database) == []


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 3, 1), (3, 2, 1), (3, 1, 2)])
async def test_what_names_no_customer_counts_once_its_subscription_is_known(
    api: Api, database, order
) -> None:
    named = {"customer": None, "metadata": {"tallybook_account_id": "ada"}}
    events = {
        1: make_subscription_event("evt_1", "created", NOW),
        2: snapshot("evt_2", "updated", 1, named, previous={}),
        3: snapshot("evt_3", "deleted", 4, named),
    }
    verdicts = {at: await api.deliver(events[at]) for at in order}
    assert verdicts[3] == "applied"
    account = await api.account("ada")
    assert (account["state"], account["tier"]) == ("canceled", "FREE")
    assert account["subscriptions"][0]["stripe_customer_id"] == "cus_1"
    assert (await api.account("cus_1"))["id"] == "ada"
    assert await differences(database) == []


async def test_what_names_no_customer_gives_nothing_before_its_subscription_is_known(
    api: Api, database
) -> None:
    assert await api.deliver(snapshot("evt_2", "updated", 1, {"customer": 7})) == "parked"
    assert await reason(api, "evt_2") == "parked: unknown shape: customer is 7, no printable text"
    assert await database.fetchval("SELECT count(*) FROM subscriptions") == 0
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0


async def test_what_cannot_be_read_leaves_what_was_known_of_it(api: Api, database) -> None:
    ends_at = int(seconds(900).timestamp())
    known = {
        "cancel_at": ends_at,
        "cancel_at_period_end": True,
        "metadata": {"tallybook_account_id": "ada"},
    }
    await api.deliver(snapshot("evt_1", "created", 0, known))
    before = (await api.account("ada"))["subscriptions"][0]
    unreadable = {
        "cancel_at": "soon",
        "cancel_at_period_end": "perhaps",
        "metadata": 7,
        "items": 7,
        "status": "hibernating",
    }
    assert await api.deliver(snapshot("evt_2", "updated", 1, unreadable, previous={})) == "parked"
    account = await api.account("ada")
    after = account["subscriptions"][0]
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}
    assert (account["state"], account["tier"]) == ("active", "PRO")
    assert await differences(database) == []


async def test_a_late_event_is_not_parked_for_what_a_newer_one_told(api: Api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.deliver(snapshot("evt_3", "updated", 9, {}, previous={}))
    late = snapshot("evt_2", "updated", 5, {"items": 7, "metadata": 7}, previous={})
    assert await api.deliver(late) == "stale"
    canceled = {"status": "canceled", "items": 7, "metadata": 7, "current_period_end": 7}
    assert await api.deliver(snapshot("evt_4", "updated", 10, canceled, previous={})) == "applied"


async def test_lines_that_nobody_can_read_park_the_pack_that_was_assumed(
    api: Api, database
) -> None:
    lines = {"object": "list", "data": [], "has_more": True}
    named = {"tallybook_pack": "P100"}
    sold = make_session_event("evt_1", NOW, metadata=named, line_items=lines)
    assert await api.deliver(sold) == "parked"
    assert (await api.account("cus_1"))["available"] == 105
    assert "one was assumed" in await reason(api, "evt_1")
    counted = {**named, "tallybook_quantity": "2"}
    told = make_session_event(
        "evt_2", NOW, session="cs_2", intent="pi_2", metadata=counted, line_items=lines
    )
    assert await api.deliver(told) == "applied"
    assert (await api.account("cus_1"))["available"] == 305
    assert await differences(database) == []


async def test_an_end_of_a_customer_needs_an_id_and_a_time(api: Api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    gone = make_customer_event("evt_2", "deleted", seconds(3))
    gone["data"]["object"] = {"id": "cus_1", "object": "customer", "metadata": 7, "deleted": True}
    assert await api.deliver(gone) == "applied"
    assert await stands(api) == ("canceled", "FREE")
