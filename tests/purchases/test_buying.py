"""A paid Checkout session opens its pack's lot once, for whom it was bought."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.allowance.catalogue import default_text
from tests.acts import Acts
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund_event, make_session_event

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


async def verdict(database, event_id: str) -> tuple[str, str]:
    row = await database.fetchrow(
        "SELECT verdict, verdict_reason FROM events WHERE id = $1", event_id
    )
    return row["verdict"], row["verdict_reason"]


async def test_a_session_that_is_not_paid_yet_waits_for_its_payment(api, database) -> None:
    assert await api.deliver(make_session_event("evt_1", NOW, status="unpaid")) == "applied"
    assert "not paid yet" in (await verdict(database, "evt_1"))[1]
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404
    success = make_session_event("evt_2", NOW + SECOND, "async_payment_succeeded")
    assert await api.deliver(success) == "applied"
    assert (await api.account("cus_1"))["available"] == 105


@pytest.mark.parametrize("kind", ["async_payment_failed", "expired"])
async def test_a_session_that_came_to_nothing_is_ignored(api, database, kind: str) -> None:
    assert await api.deliver(make_session_event("evt_1", NOW, kind, status="unpaid")) == "ignored"
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0


async def test_a_free_session_opens_its_lot_by_its_own_id(api, database) -> None:
    free = {"status": "no_payment_required", "intent": None, "amount": 0}
    assert await api.deliver(make_session_event("evt_1", NOW, **free)) == "applied"
    again = make_session_event("evt_2", NOW, "async_payment_succeeded", **free)
    assert await api.deliver(again) == "applied"
    assert (await api.account("cus_1"))["available"] == 105
    assert await differences(database) == []


async def test_a_packs_term_begins_when_its_credits_come(api, database) -> None:
    await api.deliver(make_session_event("evt_1", NOW - 400 * DAY))
    (_, lot) = (await api.account("cus_1"))["lots"]
    assert lot["expires_at"].startswith("2027-01-01T12:00:00")
    await api.set_clock(NOW + 366 * DAY)
    assert (await api.account("cus_1"))["available"] == 5
    await api.deliver(make_refund_event("evt_2", NOW + 366 * DAY, 1_000))
    assert await Acts(api, "cus_1").sides() == (5, 0, 0)
    late = make_refund_event("evt_3", NOW + 367 * DAY, 1_000, "refund.failed", status="failed")
    await api.deliver(late)
    assert await Acts(api, "cus_1").sides() == (5, 0, 0), "what had lapsed does not come back"
    assert await differences(database) == []


async def test_the_price_tells_where_no_metadata_does(api, book, database) -> None:
    items = {"data": [{"price": {"id": "price_pack_100"}, "quantity": 3}], "has_more": False}
    event = make_session_event("evt_1", NOW, metadata={}, line_items=items)
    assert await api.deliver(event) == "applied"
    assert (await api.account("cus_1"))["available"] == 305


@pytest.mark.parametrize(
    ("metadata", "prices", "reason"),
    [
        ({}, None, "set STRIPE_API_KEY"),
        ({"tallybook_pack": "P7"}, None, "no pack 'P7' is in the catalogue"),
        ({}, ["price_of_a_mug"], "price_of_a_mug"),
        ({}, ["price_pack_100", "price_of_a_mug"], "no single pack"),
        ({}, [], "none"),
    ],
)
async def test_a_paid_session_of_no_known_pack_is_parked_with_its_remedy(
    api, database, metadata, prices, reason: str
) -> None:
    items = prices is not None and {"data": [{"price": one, "quantity": 1} for one in prices]}
    event = make_session_event("evt_1", NOW, metadata=metadata, line_items=items or None)
    if prices == []:
        event["data"]["object"]["line_items"] = {"data": []}
    assert await api.deliver(event) == "parked"
    assert reason in (await verdict(database, "evt_1"))[1]
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404
    assert await differences(database) == []


async def test_prices_that_are_ignored_open_nothing_silently(api, book) -> None:
    text = 'ignored_prices = ["price_of_a_mug"]\n' + default_text()
    await apply_tiers(book, text)
    items = {"data": [{"price": "price_of_a_mug", "quantity": 1}]}
    event = make_session_event("evt_1", NOW, metadata={}, line_items=items)
    assert await api.deliver(event) == "ignored"


async def test_a_guests_purchase_is_whose_id_the_session_names(api, database) -> None:
    guest = {"customer": None, "reference": "user-1"}
    assert await api.deliver(make_session_event("evt_1", NOW, **guest)) == "applied"
    assert (await api.account("user-1"))["available"] == 105
    hinted = make_session_event(
        "evt_2",
        NOW,
        session="cs_2",
        intent="pi_2",
        customer=None,
        metadata={"tallybook_pack": "P100", "tallybook_account_id": "user-1"},
    )
    assert await api.deliver(hinted) == "applied"
    assert (await api.account("user-1"))["available"] == 205
    nobody = make_session_event("evt_3", NOW, session="cs_3", intent="pi_3", customer=None)
    assert await api.deliver(nobody) == "parked"
    assert "client_reference_id" in (await verdict(database, "evt_3"))[1]
    assert await differences(database) == []


async def test_what_the_server_names_in_a_session_ties_its_customer(api) -> None:
    for number, mode in enumerate(("payment", "subscription", "setup")):
        ids = {"session": f"cs_{number}", "intent": f"pi_{number}", "customer": f"cus_{number}"}
        metadata = {"tallybook_account_id": f"user-{number}"}
        event = make_session_event(f"evt_{number}", NOW, mode=mode, metadata=metadata, **ids)
        event["data"]["object"]["payment_status"] = "unpaid"
        assert await api.deliver(event) == "applied"
        assert (await api.account(f"cus_{number}"))["id"] == f"user-{number}"
        assert (await api.account(f"user-{number}"))["available"] == 5


async def test_each_purchase_goes_to_whom_its_own_session_names(api, database) -> None:
    """One payer, several accounts: a later name is in no conflict with an earlier one's tie."""
    for number, user in enumerate(("user-1", "user-2")):
        ids = {"session": f"cs_{number}", "intent": f"pi_{number}"}
        metadata = {"tallybook_pack": "P100", "tallybook_account_id": user}
        bought = make_session_event(
            f"evt_{number}", NOW + number * SECOND, metadata=metadata, **ids
        )
        assert await api.deliver(bought) == "applied"
    assert (await api.account("user-1"))["available"] == 105
    assert (await api.account("user-2"))["available"] == 105
    assert (await api.account("cus_1"))["id"] == "user-1"
    assert await differences(database) == []


async def test_no_event_undoes_a_put_and_the_purchase_is_the_put_accounts(api) -> None:
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    assert await api.deliver(make_session_event("evt_1", NOW, reference="user-2")) == "applied"
    assert (await api.account("user-1"))["available"] == 105


async def test_a_closed_account_gets_what_it_paid_for(api, database) -> None:
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.client.post(
        "/api/v1/accounts/user-1/close",
        headers=api.headers("operator"),
        json={"reason": "gone"},
    )
    assert await api.deliver(make_session_event("evt_1", NOW)) == "applied"
    assert (await api.account("user-1"))["available"] == 105


async def test_a_purchase_repays_debt_at_once(api, database) -> None:
    acts = Acts(api, "cus_1")
    await api.deliver(make_session_event("evt_1", NOW))
    await acts.done(await acts.spend(105))
    await api.deliver(make_refund_event("evt_2", NOW + SECOND, 600))
    assert await acts.sides() == (0, 0, 60)
    await api.deliver(make_session_event("evt_3", NOW, session="cs_2", intent="pi_2"))
    assert await acts.sides() == (40, 0, 0)
    assert await differences(database) == []


async def test_deliveries_at_once_open_one_lot_and_take_once(api, database) -> None:
    """Five kinds of news of five payments, each thrice and all at the same moment."""
    news = []
    for n in range(5):
        ids = {"session": f"cs_{n}", "intent": f"pi_{n}", "customer": f"cus_{n}"}
        news += [
            make_session_event(f"evt_{n}_1", NOW, **ids),
            make_session_event(f"evt_{n}_2", NOW, "async_payment_succeeded", **ids),
            make_refund_event(
                f"evt_{n}_3", NOW, 300, refund=f"re_{n}", intent=f"pi_{n}", charge=f"ch_{n}"
            ),
            make_refund_event(
                f"evt_{n}_4",
                NOW,
                300,
                "charge.refund.updated",
                refund=f"re_{n}",
                intent=f"pi_{n}",
                charge=f"ch_{n}",
            ),
        ]
    outcomes = await asyncio.gather(*(api.deliver(event) for event in news * 3))
    assert set(outcomes) <= {"applied", "stale", "ignored", "duplicate"}
    for n in range(5):
        assert (await api.account(f"cus_{n}"))["available"] == 75
    assert await database.fetchval("SELECT count(*) FROM purchases") == 5
    assert await database.fetchval("SELECT count(*) FROM entries WHERE kind = 'refund'") == 5
    assert await differences(database) == []
