"""Two renewals of one subscription fail: through the door, which payment makes it active again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.webhooks import no_effect
from app.webhooks.delivery import read
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_event, make_invoice_event, make_subscription_event

DAY = timedelta(days=1)
MADE = {"older": NOW + timedelta(seconds=10), "newer": NOW + timedelta(seconds=20)}


class TwoRenewals:
    """Events of one subscription, each a second after the last."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.at: datetime = NOW
        self.events: list[dict[str, Any]] = []

    def snapshot(self, kind: str, status: str = "active") -> dict[str, Any]:
        self.at += timedelta(seconds=1)
        return make_subscription_event(self._id(), kind, self.at, status=status, previous={})

    def invoiced(self, kind: str, which: str) -> dict[str, Any]:
        self.at += timedelta(seconds=1)
        return make_invoice_event(
            self._id(), kind, self.at, invoice=f"in_{which}", made_at=MADE[which]
        )

    def _id(self) -> str:
        return f"evt_{int(self.at.timestamp())}"

    async def begins(self) -> None:
        """Active, and then both renewals fail."""
        self.events = [self.snapshot("created")]
        self.at = MADE["older"]
        self.events.append(self.invoiced("payment_failed", "older"))
        self.at = MADE["newer"]
        self.events.append(self.invoiced("payment_failed", "newer"))
        for event in self.events:
            await self.api.set_clock(datetime.fromtimestamp(event["created"], UTC))
            assert await self.api.deliver(event) == "applied"

    async def stands(self) -> tuple[str, str, int]:
        """(state, tier, available)."""
        account = await self.api.account("cus_1")
        return account["state"], account["tier"], account["available"]


@pytest.fixture
async def two(api: Api) -> TwoRenewals:
    two = TwoRenewals(api)
    await two.begins()
    return two


async def test_it_is_active_again_once_the_newer_is_paid_and_not_before(api, two, database) -> None:
    grace_ends_at = MADE["older"] + timedelta(seconds=1) + 7 * DAY
    paid = two.invoiced("paid", "older")
    assert await api.deliver(paid) == "applied"
    assert await api.deliver(two.invoiced("payment_succeeded", "older")) == "applied"
    assert await api.deliver(paid) == "duplicate"
    assert await two.stands() == ("past_due", "PRO", 20)
    await api.set_clock(grace_ends_at - timedelta(seconds=1))
    assert await two.stands() == ("past_due", "PRO", 20)
    await api.set_clock(grace_ends_at)
    assert await two.stands() == ("past_due", "FREE", 5)
    assert await api.deliver(two.invoiced("paid", "newer")) == "applied"
    assert await two.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_the_newer_paid_is_enough(api, two, database) -> None:
    await api.deliver(two.invoiced("paid", "newer"))
    assert await two.stands() == ("active", "PRO", 20)
    await api.deliver(two.invoiced("payment_failed", "older"))
    assert await two.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_payments_that_come_before_the_failures_end_the_same(api, database) -> None:
    two = TwoRenewals(api)
    await api.deliver(two.snapshot("created"))
    failed = [two.invoiced("payment_failed", which) for which in ("older", "newer")]
    paid = [two.invoiced("paid", which) for which in ("older", "newer")]
    for event in (paid[0], failed[1], failed[0]):
        assert await api.deliver(event) in ("applied", "stale")
    assert await two.stands() == ("past_due", "PRO", 20)
    await api.deliver(paid[1])
    assert await two.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


@pytest.mark.parametrize("kind", ["voided", "marked_uncollectible"])
async def test_an_invoice_that_is_given_up_is_settled_by_the_next_snapshot(
    api, two, database, kind
) -> None:
    given_up = make_event(
        "evt_given_up", f"invoice.{kind}", two.at, two.events[-1]["data"]["object"]
    )
    assert await api.deliver(given_up) == "ignored"
    assert await two.stands() == ("past_due", "PRO", 20)
    await api.deliver(two.snapshot("updated"))
    assert await two.stands() == ("active", "PRO", 20)
    for kind_of_try in ("payment_failed", "paid"):
        await api.deliver(two.invoiced(kind_of_try, "older"))
        assert await two.stands() == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_a_checkpoint_of_before_invoices_were_kept_is_folded_anew(
    api, two, book, database
) -> None:
    """One that an older release left, or leaves while both are running."""
    await database.execute(
        "UPDATE subscriptions SET settled = settled - 'form' - 'invoices' WHERE id = 'sub_1'"
    )
    snapshot = two.snapshot("updated", "past_due")
    delivery = await read(book, msgspec.json.encode(snapshot))
    assert no_effect.may_batch(book, delivery)
    assert await no_effect.take(book, [delivery]) == [None]
    await api.deliver(two.invoiced("paid", "older"))
    assert await two.stands() == ("past_due", "PRO", 20)
    kept = await database.fetchval("SELECT settled->'invoices'->'failed' FROM subscriptions")
    assert sorted(msgspec.json.decode(kept)) == ["in_newer", "in_older"]
    assert await differences(database) == []


async def test_only_the_invoice_that_the_snapshot_names_has_a_say(api, database) -> None:
    """The next period has begun: its draft is the latest, of which no event tells."""
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    due = NOW + timedelta(seconds=9)
    past_due = make_subscription_event(
        "evt_2", "updated", due, status="past_due", latest_invoice="in_draft", previous={}
    )
    await api.deliver(past_due)
    paid = make_invoice_event(
        "evt_3", "paid", due + timedelta(seconds=9), invoice="in_old", made_at=NOW
    )
    await api.deliver(paid)
    assert (await api.account("cus_1"))["state"] == "past_due"
    ours = make_invoice_event("evt_4", "paid", due + timedelta(seconds=10), invoice="in_draft")
    await api.deliver(ours)
    assert (await api.account("cus_1"))["state"] == "active"
    assert await differences(database) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
async def test_an_invoice_made_after_the_newest_snapshot_is_the_latest(
    api, database, order
) -> None:
    """Nothing but its invoice tells of a renewal."""
    made_at = NOW + timedelta(seconds=5)
    renewal = {"invoice": "in_2", "made_at": made_at}
    at = [made_at + timedelta(hours=hours) for hours in (1, 24, 48)]
    events = [
        make_subscription_event("evt_1", "created", NOW, latest_invoice="in_1"),
        make_invoice_event("evt_2", "payment_failed", at[0], **renewal),
        make_invoice_event("evt_3", "payment_failed", at[1], **renewal),
    ]
    for place in order:
        await api.deliver(events[place])
    assert (await api.account("cus_1"))["state"] == "past_due"
    failing = await database.fetchval("SELECT failing_since FROM subscriptions")
    assert failing == NOW  # heard of before it is said to have happened
    await api.deliver(make_invoice_event("evt_4", "paid", at[2], **renewal))
    assert (await api.account("cus_1"))["state"] == "active"
    assert await differences(database) == []


async def test_the_failed_payment_of_a_change_that_waits_for_it_leaves_what_is(
    api, database
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    asked = NOW + timedelta(seconds=9)
    waiting = make_subscription_event(
        "evt_2",
        "updated",
        asked,
        pending_update={"expires_at": int(asked.timestamp()) + 82_800, "subscription_items": []},
        latest_invoice="in_change",
        previous={},
    )
    await api.deliver(waiting)
    declined = make_invoice_event(
        "evt_3",
        "payment_failed",
        asked + timedelta(minutes=7),
        invoice="in_change",
        billing_reason="subscription_update",
    )
    await api.deliver(declined)
    account = await api.account("cus_1")
    assert (account["state"], account["tier"], account["available"]) == ("active", "PRO", 20)
    assert await differences(database) == []


async def test_grace_begins_when_a_failure_of_the_future_is_told(api, database) -> None:
    """A test clock of Stripe's runs two months ahead."""
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    ahead = NOW + timedelta(days=60)
    event = make_subscription_event("evt_2", "updated", ahead, status="past_due", previous={})
    await api.deliver(event)
    assert await database.fetchval("SELECT grace_ends_at FROM subscriptions") == NOW + 7 * DAY
    await api.set_clock(NOW + 7 * DAY)
    account = await api.account("cus_1")
    assert (account["state"], account["tier"], account["available"]) == ("past_due", "FREE", 5)
    assert await differences(database) == []
