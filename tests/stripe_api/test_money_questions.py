"""What a session sells, and which payment a charge is of, is asked of Stripe where it is untold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_charge_event, make_dispute_event, make_session_event
from tests.stripe_api.fake_stripe import FakeStripe

SECOND = timedelta(seconds=1)
SOLD = {
    "object": "list",
    "has_more": False,
    "data": [{"price": {"id": "price_pack_100"}, "quantity": 1}],
}


def untold_session(stripe: FakeStripe, sold: dict[str, Any] = SOLD) -> dict[str, Any]:
    """A paid session without our metadata, whose line items Stripe knows."""
    event = make_session_event("evt_1", NOW, metadata={})
    stripe.objects["/v1/checkout/sessions/cs_1"] = {**event["data"]["object"], "line_items": sold}
    return event


async def verdict(api: Api, event_id: str) -> str:
    return str((await api.get(f"/api/v1/events/{event_id}")).json()["verdict"])


async def test_stripe_tells_what_a_session_without_our_metadata_sells(
    stripe_service, stripe, database
) -> None:
    assert await stripe_service.deliver(untold_session(stripe)) == "applied"
    assert (await stripe_service.account("cus_1"))["available"] == 105
    again = make_session_event("evt_2", NOW, "async_payment_succeeded", metadata={})
    assert await stripe_service.deliver(again) == "applied"
    assert (await stripe_service.account("cus_1"))["available"] == 105
    assert await differences(database) == []


async def test_stripe_away_leaves_the_purchase_for_the_tick(stripe_service, stripe) -> None:
    stripe.faults += ["500"] * 9
    assert await stripe_service.deliver(untold_session(stripe)) == "applied"
    assert (await stripe_service.get("/api/v1/accounts/cus_1")).status_code == 404
    stripe.faults.clear()
    await stripe_service.set_clock(NOW + timedelta(minutes=5))
    assert (await stripe_service.account("cus_1"))["available"] == 105


async def test_what_stripe_tells_and_no_pack_sells_is_parked(stripe_service, stripe) -> None:
    mug = {"object": "list", "has_more": False, "data": [{"price": "price_mug", "quantity": 1}]}
    await stripe_service.deliver(untold_session(stripe, mug))
    assert await verdict(stripe_service, "tbask_tbmoney_cs_1") == "parked"
    assert (await stripe_service.get("/api/v1/accounts/cus_1")).status_code == 404


async def test_stripe_tells_which_payment_an_old_dispute_is_of(
    stripe_service, stripe, database
) -> None:
    await stripe_service.deliver(make_session_event("evt_1", NOW))
    charge = make_charge_event("evt_x", NOW, 0)["data"]["object"]
    stripe.objects["/v1/charges/ch_1"] = charge
    old = make_dispute_event("evt_2", NOW + SECOND, "needs_response")
    del old["data"]["object"]["payment_intent"]
    assert await stripe_service.deliver(old) == "applied"
    account = await stripe_service.account("cus_1")
    assert (account["free"], account["held"]) == (5, 100)
    assert await differences(database) == []
