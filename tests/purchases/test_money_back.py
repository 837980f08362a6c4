"""Refunds and disputes beside spends and holds: what is taken, frozen, owed and given back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from app.verify.rebuild import find, rebuild
from tests.acts import Acts
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import (
    make_charge_event,
    make_dispute_event,
    make_refund,
    make_refund_event,
    make_session_event,
)

SECOND = timedelta(seconds=1)


async def buyer(api) -> Acts:
    """100 credits bought for 1,000, and the 5 of the day spent."""
    assert await api.deliver(make_session_event("evt_1", NOW)) == "applied"
    acts = Acts(api, "cus_1")
    await acts.done(await acts.spend(5))
    assert await acts.sides() == (100, 0, 0)
    return acts


async def delivered(api, *events: dict[str, Any]) -> list[str]:
    return [await api.deliver(event) for event in events]


def dispute(number: int, status: str, amount: int = 1_000) -> dict[str, Any]:
    return make_dispute_event(f"evt_d{number}", NOW + number * SECOND, status, amount=amount)


def refund(number: int, amount: int, **more: Any) -> dict[str, Any]:
    at = NOW + number * SECOND
    return make_refund_event(f"evt_r{number}", at, amount, refund=f"re_{number}", **more)


async def test_what_was_spent_becomes_debt_and_later_credits_repay_it(api, database) -> None:
    acts = await buyer(api)
    await acts.done(await acts.spend(70))
    await delivered(api, refund(1, 1_000))
    assert await acts.sides() == (0, 0, 70)
    await api.set_clock(NOW + timedelta(days=1))
    assert await acts.sides() == (0, 0, 65)
    won_back = make_refund_event(
        "evt_f",
        NOW + 9 * SECOND,
        1_000,
        "refund.failed",
        refund="re_1",
        made_at=NOW + SECOND,
        status="failed",
    )
    await delivered(api, won_back)
    # All comes back: 65 repay what is still owed, 5 stand for the day's that had repaid.
    assert await acts.sides() == (35, 0, 0)
    assert await differences(database) == []


async def test_frozen_credits_are_not_spent_and_come_back_at_won(api, database) -> None:
    acts = await buyer(api)
    await delivered(api, dispute(1, "needs_response", 600))
    assert await acts.sides() == (40, 60, 0)
    assert (await acts.spend(41)).status_code == 402
    assert (await acts.hold(41)).status_code == 402
    await delivered(api, dispute(2, "under_review", 600), dispute(3, "won", 600))
    assert await acts.sides() == (100, 0, 0)
    kinds = [entry[0] for entry in await acts.entries(kind="unfreeze")]
    assert kinds == ["unfreeze"]
    assert await differences(database) == []


async def test_an_inquiry_freezes_nothing_until_it_becomes_a_dispute(api, database) -> None:
    acts = await buyer(api)
    await delivered(api, dispute(1, "warning_needs_response"), dispute(2, "warning_under_review"))
    assert await acts.sides() == (100, 0, 0)
    await delivered(api, dispute(3, "needs_response"))
    assert await acts.sides() == (0, 100, 0)
    assert await differences(database) == []


async def test_a_lost_dispute_takes_what_was_frozen_and_lets_the_rest_be_owed(
    api, database
) -> None:
    acts = await buyer(api)
    await acts.done(await acts.spend(30))
    await delivered(api, dispute(1, "needs_response"))
    assert await acts.sides() == (0, 70, 0)
    await delivered(api, dispute(2, "lost"))
    assert await acts.sides() == (0, 0, 30)
    await delivered(api, dispute(3, "won"))
    assert await acts.sides() == (70, 0, 0)
    assert await differences(database) == []


async def test_a_refund_and_a_dispute_never_take_more_than_the_pack(api, database) -> None:
    acts = await buyer(api)
    await delivered(api, refund(1, 700), dispute(2, "needs_response"))
    assert await acts.sides() == (0, 30, 0)
    await delivered(api, dispute(3, "lost"), refund(4, 300))
    assert await acts.sides() == (0, 0, 0)
    await delivered(api, dispute(5, "won"))
    assert await acts.sides() == (0, 0, 0), "both refunds stand"
    assert await differences(database) == []


async def test_what_a_hold_keeps_is_taken_at_its_release(api, database) -> None:
    acts = await buyer(api)
    held = await acts.held(80)
    await delivered(api, refund(1, 500))
    assert await acts.sides() == (0, 80, 0)
    await acts.done(await acts.release(held))
    assert await acts.sides() == (50, 0, 0)
    assert await differences(database) == []


async def test_what_a_hold_keeps_and_captures_is_owed(api, database) -> None:
    acts = await buyer(api)
    held = await acts.held(80)
    await delivered(api, refund(1, 500))
    await acts.done(await acts.capture(held, 60))
    # 20 of the 50 were free, 20 came back and went; 10 were spent all the same.
    assert await acts.sides() == (0, 0, 10)
    assert await differences(database) == []


async def test_what_a_hold_keeps_is_frozen_at_its_release(api, database) -> None:
    acts = await buyer(api)
    held = await acts.held(80)
    await delivered(api, dispute(1, "needs_response", 500))
    assert await acts.sides() == (0, 100, 0)
    await acts.done(await acts.release(held))
    assert await acts.sides() == (50, 50, 0)
    await delivered(api, dispute(2, "won", 500))
    assert await acts.sides() == (100, 0, 0)
    assert await differences(database) == []


async def test_a_hold_that_ends_by_itself_is_taken_from_as_well(api, database) -> None:
    acts = await buyer(api)
    await acts.held(100, 60)
    await delivered(api, refund(1, 400), dispute(2, "needs_response", 300))
    assert await acts.sides() == (0, 100, 0)
    await api.set_clock(NOW + timedelta(minutes=2))
    assert await acts.sides() == (30, 30, 0)
    assert await differences(database) == []


async def test_frozen_credits_whose_term_is_over_lapse_when_they_are_won(api, database) -> None:
    acts = await buyer(api)
    await delivered(api, dispute(1, "needs_response"))
    await api.set_clock(NOW + timedelta(days=366))
    assert await acts.sides() == (5, 100, 0)
    await delivered(api, dispute(2, "won"))
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_an_early_refund_counts_once_its_session_comes(api, database) -> None:
    early = [
        refund(1, 300),
        make_charge_event("evt_c", NOW + 2 * SECOND, 500),
        dispute(3, "needs_response", 200),
    ]
    assert await delivered(api, *early) == ["ignored"] * 3
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0
    await delivered(api, make_session_event("evt_1", NOW))
    assert await Acts(api, "cus_1").sides() == (35, 20, 0)
    assert await differences(database) == []


async def test_a_refund_of_an_invoice_moves_no_credits(api, database) -> None:
    await buyer(api)
    event = make_refund_event("evt_2", NOW, 500, refund="re_9", intent="pi_invoice", charge="ch_9")
    assert await api.deliver(event) == "ignored"
    row = await database.fetchrow("SELECT verdict_reason FROM events WHERE id = 'evt_2'")
    assert "pi_invoice" in row["verdict_reason"]


async def test_old_shapes_tell_a_disputes_payment_by_its_charge(api, database) -> None:
    acts = await buyer(api)
    old = dispute(1, "needs_response")
    del old["data"]["object"]["payment_intent"]
    assert await api.deliver(old) == "parked"
    assert await acts.sides() == (100, 0, 0)
    # The charge's own event tells which payment it is of: now the dispute counts as well.
    carried = [make_refund("re_1", NOW + SECOND, 300, intent=None, charge=None)]
    await api.deliver(make_charge_event("evt_2", NOW + 2 * SECOND, 300, refunds=carried))
    assert await acts.sides() == (0, 70, 0)
    assert await differences(database) == []


async def test_money_in_another_currency_counts_for_nothing_and_is_parked(api, database) -> None:
    acts = await buyer(api)
    foreign = refund(1, 500)
    foreign["data"]["object"]["currency"] = "usd"
    assert await api.deliver(foreign) == "parked"
    assert await acts.sides() == (100, 0, 0)
    assert await differences(database) == []


async def test_joined_accounts_bring_their_purchases_and_what_stands_frozen(api, database) -> None:
    acts = await buyer(api)
    await acts.done(await acts.spend(20))
    held = await acts.held(10)
    await delivered(api, refund(1, 100), dispute(2, "needs_response", 300))
    assert await acts.sides() == (30, 40, 0)
    await api.put("/api/v1/accounts/user-1", {})
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    joined = Acts(api, "user-1")
    assert await joined.sides() == (30, 40, 0)
    assert await differences(database) == []
    await joined.done(await joined.release(held))
    assert await joined.sides() == (40, 30, 0)
    await delivered(api, dispute(3, "lost", 300), refund(4, 600))
    assert await joined.sides() == (0, 0, 20)
    won = dispute(5, "won", 300)
    failed = make_refund_event(
        "evt_f",
        NOW + 6 * SECOND,
        600,
        "refund.failed",
        refund="re_4",
        made_at=NOW + 4 * SECOND,
        status="failed",
    )
    await delivered(api, won, failed)
    assert await joined.sides() == (70, 0, 0)
    assert await differences(database) == []


async def test_an_emptied_lot_moves_with_its_debt_and_its_room(api, database) -> None:
    acts = await buyer(api)
    await acts.done(await acts.spend(100))
    await delivered(api, refund(1, 1_000))
    assert await acts.sides() == (0, 0, 100)
    await api.put("/api/v1/accounts/user-1", {})
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    joined = Acts(api, "user-1")
    failed = make_refund_event(
        "evt_f",
        NOW + 6 * SECOND,
        1_000,
        "refund.failed",
        refund="re_1",
        made_at=NOW + SECOND,
        status="failed",
    )
    await joined.done(await joined.grant(100))  # repays the debt
    await delivered(api, failed)
    assert await joined.sides() == (100, 0, 0)
    assert await differences(database) == []


async def test_rebuild_knows_what_stands_frozen(api, database, server) -> None:
    acts = await buyer(api)
    await acts.held(10)
    await delivered(api, dispute(1, "needs_response", 300))
    superuser = await asyncpg.connect(server.superuser_url)
    await superuser.execute("UPDATE backings SET frozen = 7")
    await superuser.execute("UPDATE lots SET held = 17, free = 83 WHERE source = 'purchased'")
    await superuser.close()
    told = str(await differences(database))
    assert "7 frozen stand; its entries say 30" in told
    assert {one.column for one in await find(database)} >= {"frozen", "held"}
    await rebuild(database)
    assert await differences(database) == []
    assert await acts.sides() == (60, 40, 0)


async def test_verify_names_a_purchase_that_is_not_owed_what_its_money_says(
    api, database, server
) -> None:
    await buyer(api)
    await delivered(api, refund(1, 300))
    superuser = await asyncpg.connect(server.superuser_url)
    await superuser.execute("UPDATE money_back SET amount = 500")
    told = str(await differences(database))
    assert "purchase pi_1: 30 of 100 credits taken and 0 to stand still; its money says 50" in told
    await superuser.execute("UPDATE backings SET taken = 50, clawed = 50")
    told = str(await differences(database))
    assert "50 taken and 0 owed stand; its entries say 30" in told
    await superuser.close()


async def test_reports_and_explain_tell_of_a_purchase(api, database) -> None:
    acts = await buyer(api)
    await acts.done(await acts.spend(30))
    await delivered(api, refund(1, 500), dispute(2, "needs_response", 300))
    assert await acts.sides() == (0, 20, 0)
    explained = (await api.get("/api/v1/accounts/cus_1/balance/explain")).json()
    (lot,) = [lot for lot in explained["lots"] if lot["source"] == "purchased"]
    behind = [(entry["kind"], entry["event_id"]) for entry in lot["entries"]]
    assert behind == [
        ("freeze", "evt_d2"),
        ("refund", "evt_r1"),
        ("spend", None),
        ("purchase", "evt_1"),
    ]
    entries = (await api.get("/api/v1/ledger/entries", event_id="evt_1")).json()["data"]
    assert [
        (e["kind"], e["lot_source"], e["change"]) for e in entries if e["kind"] == "purchase"
    ] == [("purchase", "purchased", 100)]
    await api.set_clock(NOW + timedelta(minutes=1))
    told = (
        await api.get(
            "/api/v1/ledger/roll-forward",
            account_id="cus_1",
            **{"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T12:00:01Z"},
        )
    ).json()
    assert (told["purchased"], told["refunded"], told["spent"]) == (100, 50, 35)
    assert told["closing"] == 20


async def test_what_lapsed_counts_once_though_the_money_goes_back_in_two_refunds(
    api, database
) -> None:
    """Of the pack 50 were spent and 50 lapsed; the first refund is for those, the second owes."""
    acts = await buyer(api)
    await acts.done(await acts.spend(50))
    await api.set_clock(NOW + timedelta(days=366), tick=False)
    await delivered(api, refund(1, 500))
    assert await acts.sides() == (5, 0, 0)
    await delivered(api, refund(2, 500))
    assert await acts.sides() == (0, 0, 45)
    assert await differences(database) == []
