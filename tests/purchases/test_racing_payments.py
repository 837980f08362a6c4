"""A dispute that knows but its charge, while others tell of its payment and of its session."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from app.purchases import store
from app.purchases.facts import MoneyEvent
from app.webhooks import inbox
from app.webhooks.envelope import envelope
from app.webhooks.receive import receive
from app.webhooks.translate import translate
from tests.acts import Acts
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_charge_event, make_dispute_event, make_session_event

_WAITING = """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def payload_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


async def test_a_dispute_does_not_miss_the_session_that_opens_its_lot_meanwhile(
    api, book, database
) -> None:
    """Without the lock of the payment, which it learns late, it would be counted by neither."""
    charge = make_charge_event("evt_charge", NOW, 0)
    dispute = make_dispute_event("evt_dispute", NOW, "needs_response")
    del dispute["data"]["object"]["payment_intent"]  # as before 2019
    charged, waited_for = asyncio.Event(), asyncio.Event()
    opened, goes_on = asyncio.Event(), asyncio.Event()

    async def tell_of_the_charge() -> None:
        told = translate(charge)
        assert isinstance(told, MoneyEvent)
        async with database.transaction():
            await store.lock(database, ["ch_1"])
            await inbox.insert(database, envelope(payload_of(charge)), payload_of(charge))
            await store.add(database, told)
            charged.set()
            await waited_for.wait()

    async def open_the_lot() -> None:
        async with database.transaction():
            await receive(book, payload_of(make_session_event("evt_session", NOW)), livemode=False)
            opened.set()
            await goes_on.wait()

    async def until_the_dispute_waits() -> None:
        while not (disputing.done() or await database.fetchval(_WAITING)):
            await asyncio.sleep(0.01)

    telling = asyncio.create_task(tell_of_the_charge())
    await charged.wait()
    opening = asyncio.create_task(open_the_lot())
    await opened.wait()
    disputing = asyncio.create_task(receive(book, payload_of(dispute), livemode=False))
    await until_the_dispute_waits()
    waited_for.set()
    await telling
    await until_the_dispute_waits()
    goes_on.set()
    await opening
    assert (await disputing).outcome == "applied"
    assert await Acts(api, "cus_1").sides() == (5, 100, 0)
    assert await differences(database) == []
