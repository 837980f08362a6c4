"""What nobody can read of an event is asked of Stripe once; its answer counts by its own time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund, make_refund_event, make_session_event
from tests.stripe_api.fake_stripe import FakeStripe
from tests.stripe_events import make_customer_event, make_invoice_event, make_subscription_event


def changed(event: dict[str, Any], **parts: Any) -> dict[str, Any]:
    event["data"]["object"].update(parts)
    return event


@pytest.mark.parametrize(
    "parts",
    [
        {"items": {"data": [], "has_more": True}},
        {"status": "hibernating"},
        {"customer": None},
        {"metadata": 7},
        {"id": "sub_1", "items": 7, "customer": 7, "status": 7, "current_period_end": "soon"},
    ],
)
async def test_a_snapshot_that_nobody_can_read_whole_is_read_from_stripe(
    stripe_service: Api, stripe: FakeStripe, database: Database, parts: dict[str, Any]
) -> None:
    stripe.subscription(price="price_enterprise_monthly")
    event = changed(make_subscription_event("evt_1", "created", NOW), **parts)
    stripe.now += timedelta(seconds=1)
    assert await stripe_service.deliver(event) == "applied"
    account = await stripe_service.account("cus_1")
    assert (account["state"], account["tier"]) == ("active", "ENTERPRISE")
    told = (await stripe_service.get("/api/v1/events/evt_1")).json()
    assert told["reason"].startswith("Stripe is asked, since ")
    assert stripe.count("/v1/subscriptions/sub_1") == 1
    assert await stripe_service.deliver(event) == "duplicate"
    assert stripe.count("/v1/subscriptions/sub_1") == 1
    assert await differences(database) == []


async def test_what_stripe_itself_tells_unreadably_is_parked_and_not_asked_again(
    stripe_service: Api, stripe: FakeStripe, database: Database
) -> None:
    stripe.subscription(status="hibernating")
    event = make_subscription_event("evt_1", "created", NOW, status="hibernating")
    stripe.now += timedelta(seconds=1)
    assert await stripe_service.deliver(event) == "applied"
    verdicts = "SELECT id, verdict FROM events ORDER BY number"
    assert [tuple(row) for row in await database.fetch(verdicts)] == [
        ("evt_1", "applied"),
        ("tbread_evt_1", "parked"),
        ("tbask_tbread_evt_1", "parked"),
    ]


async def test_an_invoice_that_nobody_can_read_asks_for_its_subscription(
    stripe_service: Api, stripe: FakeStripe, database: Database
) -> None:
    stripe.subscription()
    await stripe_service.deliver(make_subscription_event("evt_1", "created", NOW))
    failed = make_invoice_event("evt_2", "payment_failed", NOW + timedelta(seconds=3))
    stripe.objects["/v1/invoices/in_evt_2"] = dict(failed["data"]["object"])
    stripe.subscription(status="past_due")
    stripe.now += timedelta(seconds=5)
    assert await stripe_service.deliver(changed(failed, parent="sub_1")) == "applied"
    assert (await stripe_service.account("cus_1"))["state"] == "past_due"
    assert await differences(database) == []


async def test_money_and_names_that_nobody_can_read_are_read_from_stripe(
    stripe_service: Api, stripe: FakeStripe, database: Database
) -> None:
    session = make_session_event("evt_1", NOW)
    whole = {"object": "list", "data": [{"price": "price_pack_100", "quantity": 2}]}
    stripe.objects["/v1/checkout/sessions/cs_1"] = {
        **session["data"]["object"],
        "metadata": {},
        "line_items": whole,
    }
    stripe.objects["/v1/refunds/re_1"] = make_refund("re_1", NOW, 500)
    customer = make_customer_event("evt_3", "updated", NOW, tallybook_account_id="ada")
    stripe.objects["/v1/customers/cus_1"] = dict(customer["data"]["object"])
    stripe.now += timedelta(seconds=5)
    assert await stripe_service.deliver(changed(session, metadata=7)) == "applied"
    assert (await stripe_service.account("cus_1"))["available"] == 205
    refund = changed(make_refund_event("evt_2", NOW, 500), status="halfway")
    assert await stripe_service.deliver(refund) == "applied"
    assert (await stripe_service.account("cus_1"))["available"] == 105
    assert await stripe_service.deliver(changed(customer, metadata=7)) == "applied"
    assert (await stripe_service.account("ada"))["available"] == 105
    assert await differences(database) == []
