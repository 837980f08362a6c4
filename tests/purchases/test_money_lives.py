"""One payment's money life: whatever order its events come in, the lot is owed what is paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.acts import Acts
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import (
    make_charge_event,
    make_dispute_event,
    make_refund_event,
    make_session_event,
)

SECOND = timedelta(seconds=1)


async def test_a_paid_pack_opens_a_lot_once(api, database) -> None:
    event = make_session_event("evt_1", NOW)
    assert await api.deliver(event) == "applied"
    assert await api.deliver(event) == "duplicate"
    again = make_session_event("evt_2", NOW, "async_payment_succeeded")
    assert await api.deliver(again) == "applied"
    account = await api.account("cus_1")
    assert (account["available"], account["free"]) == (105, 105)
    assert [lot["source"] for lot in account["lots"]] == ["daily", "purchased"]
    assert await differences(database) == []


async def test_each_step_of_a_life_is_posted_as_it_comes(api, database) -> None:
    """Of 1,000 paid for 100 credits, beside the 5 of the day."""
    acts = Acts(api, "cus_1")
    steps = [
        (make_session_event("evt_1", NOW), (105, 0, 0)),
        (make_refund_event("evt_2", NOW + SECOND, 300), (75, 0, 0)),
        (dispute("evt_3", 2, "needs_response"), (5, 70, 0)),
        (dispute("evt_4", 3, "lost"), (5, 0, 0)),
        (dispute("evt_5", 4, "won"), (75, 0, 0)),
        (make_charge_event("evt_6", NOW + 5 * SECOND, 500), (55, 0, 0)),
    ]
    for event, sides in steps:
        assert await api.deliver(event) == "applied"
        assert await acts.sides() == sides
        assert await differences(database) == []


def dispute(event_id: str, second: int, status: str) -> dict[str, Any]:
    return make_dispute_event(event_id, NOW + second * SECOND, status, amount=700)
