"""From a first webhook to a spend and an entry."""

from __future__ import annotations

from datetime import timedelta

from tests.conftest import NOW


async def test_a_subscription_turns_into_credits_that_can_be_spent(api, subscription_event) -> None:
    assert await api.deliver(subscription_event("evt_1", "created", NOW)) == "applied"
    assert (await api.spend("cus_1", 7, "key-1")).status_code == 201
    account = await api.account("cus_1")
    assert (account["tier"], account["state"], account["available"]) == ("PRO", "active", 13)


async def test_the_next_day_brings_the_next_grant(api, subscription_event) -> None:
    await api.deliver(subscription_event("evt_1", "created", NOW))
    await api.spend("cus_1", 7, "key-1")
    await api.set_clock(NOW + timedelta(days=1))
    assert (await api.account("cus_1"))["available"] == 20
