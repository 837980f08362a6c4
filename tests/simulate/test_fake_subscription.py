"""The model of Stripe: each change is told by the events that Stripe sends for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.simulate.fake_subscription import FakeSubscription, months_after
from app.simulate.stripe_objects import ENTERPRISE_MONTHLY, PRO_MONTHLY
from app.subscriptions.facts import Fact
from app.webhooks.translate import translate

BEGAN = datetime(2026, 1, 31, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def model() -> FakeSubscription:
    return FakeSubscription("t", "zoe", PRO_MONTHLY, BEGAN)


def snapshots_of(events: list[Any]) -> list[Any]:
    return [event for event in events if event["type"].startswith("customer.subscription.")]


def fact_of(event: Any) -> Fact:
    fact = translate(event)
    assert isinstance(fact, Fact)
    return fact


def a_life(model: FakeSubscription) -> list[Any]:
    """Every method once, in an order in which it may happen."""
    events = [*model.subscribe(BEGAN), *model.change_price(BEGAN + DAY, ENTERPRISE_MONTHLY)]
    events += model.set_metadata(BEGAN + 2 * DAY, "team", "red")
    events += model.renew(model.running.ends_at)
    renewed_at = model.running.starts_at
    events += model.fail_payment(renewed_at + DAY)
    events += model.fail_payment(renewed_at + 2 * DAY)
    events += model.pay(renewed_at + 3 * DAY)
    events += model.schedule_end(renewed_at + 4 * DAY)
    return [*events, *model.delete(model.running.ends_at)]


def test_the_states_of_a_life_follow_one_another(model: FakeSubscription) -> None:
    statuses = [fact_of(event).status for event in snapshots_of(a_life(model))]
    assert statuses == [
        "incomplete",
        "active",
        "active",
        "active",
        "active",
        "past_due",
        "active",
        "active",
        "canceled",
    ]


def test_previous_attributes_are_what_the_snapshot_before_had(model: FakeSubscription) -> None:
    snapshots = snapshots_of(a_life(model))
    for before, after in pairwise(snapshots):
        for name, value in after["data"].get("previous_attributes", {}).items():
            was = before["data"]["object"][name]
            if name in ("items", "cancellation_details"):  # parts of an object: those that changed
                was = {part: was[part] for part in value}
            elif name == "metadata":
                was = {part: was.get(part) for part in value}
            assert was == value
            assert after["data"]["object"][name] != value


def test_every_update_names_what_it_changed(model: FakeSubscription) -> None:
    updates = [e for e in a_life(model) if e["type"] == "customer.subscription.updated"]
    assert all(event["data"]["previous_attributes"] for event in updates)


def test_ids_ascend_and_none_comes_twice(model: FakeSubscription) -> None:
    ids = [event["id"] for event in a_life(model)]
    assert ids == sorted(set(ids))


def test_an_upgrade_carries_the_new_price_and_bills_the_difference(
    model: FakeSubscription,
) -> None:
    model.subscribe(BEGAN)
    events: list[Any] = model.change_price(BEGAN + DAY, ENTERPRISE_MONTHLY)
    (update,) = snapshots_of(events)
    assert fact_of(update).prices == ("price_enterprise_monthly",)
    paid = next(event["data"]["object"] for event in events if event["type"] == "invoice.paid")
    assert (paid["billing_reason"], paid["amount_paid"]) == ("subscription_update", 30_00)


def test_only_the_first_failure_changes_the_subscription(model: FakeSubscription) -> None:
    model.subscribe(BEGAN)
    model.renew(model.running.ends_at)
    first, second = (model.fail_payment(model.running.starts_at + day * DAY) for day in (1, 2))
    assert (len(snapshots_of(first)), len(snapshots_of(second))) == (1, 0)


def test_a_renewal_begins_a_new_period_and_is_not_yet_paid(model: FakeSubscription) -> None:
    model.subscribe(BEGAN)
    events: list[Any] = model.renew(model.running.ends_at)
    update, invoice = events
    assert fact_of(update).period_end == datetime(2026, 3, 31, 9, tzinfo=UTC)
    assert (invoice["type"], invoice["data"]["object"]["status"]) == ("invoice.created", "draft")


@pytest.mark.parametrize(
    ("count", "month", "day"), [(1, 2, 28), (2, 3, 31), (3, 4, 30), (11, 12, 31), (12, 1, 31)]
)
def test_a_month_without_the_day_ends_on_its_last(count: int, month: int, day: int) -> None:
    after = months_after(BEGAN, count)
    assert (after.month, after.day, after.hour) == (month, day, 9)
