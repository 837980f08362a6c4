"""Every status and shape that Stripe sends, through the door: states, and the credits they give."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_event, make_invoice_event, make_subscription_event

PRO, YEARLY = "price_pro_monthly", "price_pro_yearly"
ENTERPRISE = "price_enterprise_monthly"
DAY = timedelta(days=1)


class Life:
    """One subscription whose events come a second apart."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.second = 0

    async def told(self, kind: str, status: str = "active", **more: Any) -> str:
        """A snapshot; the verdict."""
        self.second += 1
        at = NOW + timedelta(seconds=self.second)
        event = make_subscription_event(
            f"evt_{self.second}", kind, at, status=status, previous={}, **more
        )
        return await self.api.deliver(event)

    async def invoiced(self, kind: str, **more: Any) -> str:
        """A renewal's invoice; the verdict."""
        self.second += 1
        at = NOW + timedelta(seconds=self.second)
        return await self.api.deliver(make_invoice_event(f"evt_{self.second}", kind, at, **more))

    async def stands(self) -> tuple[str, str, int]:
        """(state, tier, available)."""
        account = await self.api.account("cus_1")
        return account["state"], account["tier"], account["available"]


@pytest.fixture
def life(api: Api) -> Life:
    return Life(api)


def items(*prices: str, quantity: int = 1) -> dict[str, Any]:
    data = [
        {
            "id": f"si_{n}",
            "object": "subscription_item",
            "quantity": quantity,
            "current_period_end": 1_800_000_000,
            "price": {"id": price, "object": "price"},
        }
        for n, price in enumerate(prices)
    ]
    return {"object": "list", "data": data, "has_more": False}


async def test_a_trial_gives_its_tier_and_goes_on_as_active(life, database) -> None:
    assert await life.told("created", "trialing") == "applied"
    assert await life.stands() == ("active", "PRO", 20)
    await life.told("trial_will_end", "trialing")
    await life.invoiced("paid", billing_reason="subscription_create")
    await life.told("updated", "active")
    assert await life.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_a_trial_of_a_tier_without_trial_grants_begins_to_give_once_active(
    life, book, database
) -> None:
    text = default_text().replace("[tiers.PRO]", "[tiers.PRO]\ntrial_grants = false", 1)
    await apply_tiers(book, text.replace("trial_grants = true\n", ""), "tiers.toml", "tests")
    await life.told("created", "trialing")
    assert await life.stands() == ("active", "FREE", 5)
    await life.told("updated", "active")
    assert await life.stands() == ("active", "PRO", 20)
    await life.told("updated", "trialing")  # a trial added later
    assert await life.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_a_trial_that_ends_without_a_card_is_paused(life) -> None:
    await life.told("created", "trialing")
    await life.told("paused", "paused")
    assert await life.stands() == ("past_due", "FREE", 5)
    await life.told("resumed", "active")
    assert await life.stands() == ("active", "PRO", 20)


async def test_an_incomplete_subscription_gives_nothing_until_3d_secure_is_through(life) -> None:
    await life.told("created", "incomplete")
    assert await life.stands() == ("created", "FREE", 5)
    await life.invoiced("payment_failed", billing_reason="subscription_create")
    assert await life.stands() == ("created", "FREE", 5)
    await life.told("updated", "active")
    assert await life.stands() == ("active", "PRO", 20)


async def test_an_incomplete_subscription_that_expires_is_over(life) -> None:
    await life.told("created", "incomplete")
    await life.told("updated", "incomplete_expired")
    assert await life.stands() == ("canceled", "FREE", 5)
    await life.told("updated", "active")
    assert await life.stands() == ("canceled", "FREE", 5)


async def test_one_that_ends_with_its_period_gives_until_it_ends(api, life) -> None:
    await life.told("created")
    await life.told("updated", cancel_at_period_end=True)
    account = await api.account("cus_1")
    assert account["subscriptions"][0]["cancel_at_period_end"] is True
    assert await life.stands() == ("active", "PRO", 20)
    await life.told("deleted", "canceled", cancel_at_period_end=True)
    assert await life.stands() == ("canceled", "FREE", 5)


async def test_past_due_gives_for_seven_days_and_no_longer(api, life, database) -> None:
    await life.told("created")
    await api.set_clock(NOW + timedelta(seconds=2))
    await life.told("updated", "past_due")
    ends_at = NOW + 7 * DAY + timedelta(seconds=2)
    for at in (NOW + DAY, ends_at - timedelta(seconds=1)):
        await api.set_clock(at)
        assert await life.stands() == ("past_due", "PRO", 20)
    await api.spend("cus_1", 2, "key-1")
    await api.set_clock(ends_at)
    assert await life.stands() == ("past_due", "FREE", 3)
    await life.told("updated")
    assert await life.stands() == ("active", "PRO", 18)
    assert await differences(database) == []


async def test_past_due_known_from_the_invoice_alone_has_the_same_grace(
    api, life, database
) -> None:
    await life.told("created")
    assert await life.invoiced("payment_failed") == "applied"
    await life.invoiced("payment_failed")  # dunning goes on: grace began at the first
    assert await life.stands() == ("past_due", "PRO", 20)
    await api.set_clock(NOW + 7 * DAY + timedelta(seconds=2))
    assert await life.stands() == ("past_due", "FREE", 5)
    assert await life.invoiced("paid") == "applied"
    assert await life.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_unpaid_gives_nothing_without_grace_and_comes_back(life) -> None:
    await life.told("created")
    await life.told("updated", "past_due")
    await life.told("updated", "unpaid")
    assert await life.stands() == ("past_due", "FREE", 5)
    await life.told("updated")
    assert await life.stands() == ("active", "PRO", 20)


async def test_a_paused_subscription_gives_nothing_until_it_is_resumed(life) -> None:
    await life.told("created")
    await life.told("paused", "paused")
    assert await life.stands() == ("past_due", "FREE", 5)
    await life.told("resumed")
    assert await life.stands() == ("active", "PRO", 20)
    # Collection that is paused is no status: invoices wait, the subscription gives.
    await life.told("updated", pause_collection={"behavior": "void", "resumes_at": None})
    assert await life.stands() == ("active", "PRO", 20)


async def test_quantity_does_not_multiply(life) -> None:
    await life.told("created", items=items(PRO, quantity=7))
    assert await life.stands() == ("active", "PRO", 20)


async def test_the_best_of_several_items_counts_and_others_do_no_harm(life, book) -> None:
    await apply_tiers(book, f'ignored_prices = ["hours"]\n{default_text()}', "t", "tests")
    await life.told("created", items=items("hours", PRO, "price_nobody_knows"))
    assert await life.stands() == ("active", "PRO", 20)
    await life.told("updated", items=items(PRO, ENTERPRISE))
    assert await life.stands() == ("active", "ENTERPRISE", 50)
    await life.told("updated", items=items("hours"))
    assert await life.stands() == ("active", "FREE", 5)


async def test_a_yearly_price_gives_the_same_every_day(api, life, database) -> None:
    price = {"id": YEARLY, "object": "price", "recurring": {"interval": "year"}}
    item = {"id": "si_1", "price": price, "current_period_end": 1_800_000_000}
    await life.told("created", items={"object": "list", "data": [item]})
    for day in range(3):
        await api.set_clock(NOW + day * DAY)
        assert await life.stands() == ("active", "PRO", 20)
        await api.spend("cus_1", 20, f"key-{day}")
    account = await api.account("cus_1")
    assert account["subscriptions"][0]["billing_cycle"] == "year"
    assert await differences(database) == []


async def test_one_of_several_subscriptions_that_fails_leaves_the_others(api, life) -> None:
    await life.told("created")
    await life.told("created", subscription="sub_2", price=ENTERPRISE)
    await api.spend("cus_1", 30, "key-1")
    await life.told("updated", "unpaid", subscription="sub_2", price=ENTERPRISE)
    assert await life.stands() == ("active", "PRO", 0)
    await life.told("deleted", "canceled")
    assert await life.stands() == ("past_due", "FREE", 0)
    await api.set_clock(NOW + DAY)
    assert (await life.stands())[2] == 5


async def test_changing_tiers_to_and_fro_with_spends_between_gains_nothing(
    api, life, database
) -> None:
    await life.told("created")
    await api.spend("cus_1", 15, "key-1")
    for _ in range(3):
        await life.told("updated", price=ENTERPRISE)
        assert await life.stands() == ("active", "ENTERPRISE", 35)
        await life.told("updated")
        assert await life.stands() == ("active", "PRO", 5)
    assert await differences(database) == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "hibernating"},
        {"items": {"object": "list", "data": "all"}},
        {"customer": 7},
        {"items": {"object": "list", "data": [], "has_more": True}},
        {"cancel_at_period_end": "yes"},
    ],
)
async def test_an_unknown_status_or_shape_is_parked_and_what_was_known_stands(
    api, life, change
) -> None:
    await life.told("created")
    event = make_subscription_event("evt_9", "updated", NOW + timedelta(seconds=9), previous={})
    event["data"]["object"].update(change)
    assert await api.deliver(event) == "parked"
    assert await life.stands() == ("active", "PRO", 20)


async def test_the_shape_of_2017_is_read_like_the_newest(api) -> None:
    subscription = {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "current_period_end": 1_800_000_000,
        "cancel_at_period_end": False,
        "metadata": {},
        "plan": {"id": PRO, "object": "plan", "interval": "month", "interval_count": 1},
        "items": {
            "object": "list",
            "data": [{"id": "si_1", "plan": {"id": PRO, "object": "plan", "interval": "month"}}],
        },
    }
    event = make_event("evt_1", "customer.subscription.created", NOW, subscription)
    assert (
        await api.deliver({**event, "api_version": "2017-05-25", "request": "req_1"}) == "applied"
    )
    account = await api.account("cus_1")
    assert (account["tier"], account["available"]) == ("PRO", 20)
    invoice = {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_1",
        "subscription": "sub_1",
        "billing_reason": "subscription_cycle",
    }
    failed = make_event("evt_2", "invoice.payment_failed", NOW + timedelta(seconds=5), invoice)
    assert await api.deliver(failed) == "applied"
    assert (await api.account("cus_1"))["state"] == "past_due"
