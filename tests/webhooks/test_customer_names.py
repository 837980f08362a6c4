"""The account that a customer's own metadata names, where several snapshots share a second."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

from app.accounts.open import Rank
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_customer_event, make_subscription_event

LATER = NOW + timedelta(seconds=9)
KEY = "tallybook_account_id"
Event = dict[str, Any]


def updated(event_id: str, name: str | None, email: str, previous: Event) -> Event:
    metadata = {KEY: name} if name else {}
    event = make_customer_event(event_id, "updated", LATER, **metadata)
    event["data"]["object"]["email"] = email
    event["data"]["previous_attributes"] = previous
    return event


async def assert_all_orders_tie(api: Any, database: Any, events: list[Event], name: str) -> None:
    """Each order with a customer of its own, whose subscription is told last."""
    for number, order in enumerate(permutations(events)):
        customer = f"cus_{number}"
        for event in order:
            thing = event["data"]["object"] | {"id": customer}
            data = event["data"] | {"object": thing}
            await api.deliver(event | {"id": f"{event['id']}_{number}", "data": data})
        ids = {"subscription": f"sub_{number}", "customer": customer}
        await api.deliver(make_subscription_event(f"evt_s_{number}", "created", LATER, **ids))
        account = await api.account(customer)
        assert account["id"] == name
        assert ids["subscription"] in [one["id"] for one in account["subscriptions"]]
    names = await database.fetch(
        "SELECT DISTINCT external_id FROM claims WHERE stands AND rank = $1", Rank.CUSTOMER_METADATA
    )
    assert [row["external_id"] for row in names] == [name]
    assert await differences(database) == []


async def test_created_comes_before_the_update_that_names_an_account(api, database) -> None:
    """The application makes a customer and names it at once; ids tell nothing of the order."""
    events = [
        make_customer_event("evt_9", "created", LATER),
        updated("evt_1", "user-1", "a@b.example", {"metadata": {KEY: None}}),
    ]
    await assert_all_orders_tie(api, database, events, "user-1")


async def test_another_update_of_the_second_does_not_unname_it(api, database) -> None:
    events = [
        updated("evt_9", None, "c@b.example", {"email": "a@b.example"}),
        updated("evt_1", "user-1", "c@b.example", {"metadata": {KEY: None}}),
    ]
    await assert_all_orders_tie(api, database, events, "user-1")


async def test_of_two_names_the_later_stands(api, database) -> None:
    events = [
        make_customer_event("evt_5", "created", NOW, **{KEY: "user-1"}),
        updated("evt_9", "user-2", "a@b.example", {"metadata": {KEY: "user-1"}}),
        updated("evt_1", "user-3", "a@b.example", {"metadata": {KEY: "user-2"}}),
    ]
    await assert_all_orders_tie(api, database, events, "user-3")


async def test_a_name_taken_away_within_the_second_is_gone(api) -> None:
    """The snapshot before them tells which of the two came first."""
    await api.deliver(make_customer_event("evt_5", "created", NOW))
    await api.deliver(updated("evt_1", None, "a@b.example", {"metadata": {KEY: "user-1"}}))
    await api.deliver(updated("evt_9", "user-1", "a@b.example", {"metadata": {KEY: None}}))
    await api.deliver(make_subscription_event("evt_3", "created", LATER))
    assert (await api.account("cus_1"))["id"] == "cus_1"
