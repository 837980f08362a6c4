"""Payments whose webhooks were lost after our answer: reconciling finds them and mends once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.book import Book
from app.infrastructure.db import Database
from app.reconcile import missing_payments, store
from app.reconcile.reconcile import Reconciler
from app.reconcile.store import Outcome, Part
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_dispute_event, make_refund, make_session_event
from tests.stripe_api.fake_stripe import FakeStripe
from tests.stripe_api.test_reconcile import (
    OPERATOR,
    SINCE,
    contents,
    hear,
    outcomes,
    pass_time,
    reconcile,
)


def sold(stripe: FakeStripe, session: str, intent: str, **more: Any) -> dict[str, Any]:
    """Somebody pays a Checkout session at Stripe; the event of it that nobody hears."""
    event = make_session_event("evt_" + session, stripe.now, session=session, intent=intent, **more)
    thing = {**event["data"]["object"], "created": int(stripe.now.timestamp())}
    stripe.objects[f"/v1/checkout/sessions/{session}"] = thing
    return event


def refunded(stripe: FakeStripe, refund: str, amount: int, **more: Any) -> None:
    stripe.objects[f"/v1/refunds/{refund}"] = make_refund(refund, stripe.now, amount, **more)


def disputed(stripe: FakeStripe, dispute: str, status: str, **more: Any) -> None:
    event = make_dispute_event("evt", stripe.now, status, dispute=dispute, **more)
    thing = {**event["data"]["object"], "created": int(stripe.now.timestamp())}
    stripe.objects[f"/v1/disputes/{dispute}"] = thing


async def pack(database: Database, intent: str = "pi_1") -> tuple[int, int, int] | None:
    """(free, held, debt) of the account that bought with it; the day's 5 are spent by nobody."""
    row = await database.fetchrow(
        """SELECT accounts.free, accounts.held, accounts.debt FROM purchases
             JOIN backings ON backings.id = backing_id
             JOIN accounts ON accounts.id = account_id WHERE payment_intent = $1""",
        intent,
    )
    return tuple(row) if row else None


async def test_a_pack_that_was_paid_and_never_told_is_opened_once(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    event = sold(stripe, "cs_1", "pi_1")
    await pass_time(stripe, book, seconds=5)
    found = await reconcile(book, dry_run=True)
    assert outcomes(found) == [("cs_1", Outcome.FOUND)]
    assert await pack(database) is None
    found = await reconcile(book)
    assert outcomes(found) == [("cs_1", Outcome.MENDED)]
    assert "P100" in found[0].what
    assert await pack(database) == (105, 0, 0)
    before = await contents(database)
    assert await reconcile(book) == []
    assert await contents(database) == before
    # The webhook comes after all: it changes nothing.
    assert await hear(book, event) == "applied"
    assert await pack(database) == (105, 0, 0)
    assert await database.fetchval("SELECT count(*) FROM purchases") == 1
    assert await differences(database) == []


async def test_a_pack_of_which_a_webhook_told_is_left_alone(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await hear(book, sold(stripe, "cs_1", "pi_1"))
    refunded(stripe, "re_other", 500, intent="pi_of_a_subscription", charge="ch_other")
    sold(
        stripe,
        "cs_other",
        "pi_2",
        metadata={},
        line_items={"object": "list", "data": [{"price": {"id": "price_of_a_mug"}, "quantity": 1}]},
    )
    sold(stripe, "cs_open", "pi_3", status="unpaid")
    before = await contents(database)
    assert await reconcile(book) == []
    assert await contents(database) == before
    one = await database.fetchrow("SELECT payments FROM reconciliations")
    assert one is not None
    assert one["payments"] == 4


async def test_a_pack_that_only_its_line_item_tells_is_found(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    _, catalogue = await book.catalogues.present(database)
    priced = next(one for one in catalogue.packs if one.prices)
    price = sorted(priced.prices)[0]
    sold(
        stripe,
        "cs_1",
        "pi_1",
        metadata={},
        line_items={"object": "list", "data": [{"price": {"id": price}, "quantity": 2}]},
    )
    assert outcomes(await reconcile(book)) == [("cs_1", Outcome.MENDED)]
    assert await pack(database) == (2 * priced.credits + 5, 0, 0)
    assert await differences(database) == []


async def test_money_that_went_back_unheard_takes_its_credits_and_a_failure_returns_them(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    sold(stripe, "cs_1", "pi_1")
    refunded(stripe, "re_1", 400)
    await pass_time(stripe, book, seconds=5)
    assert outcomes(await reconcile(book)) == [
        ("cs_1", Outcome.MENDED),
        ("re_1", Outcome.MENDED),
    ]
    assert await pack(database) == (65, 0, 0)
    refunded(stripe, "re_1", 400, status="failed")
    disputed(stripe, "du_1", "needs_response", amount=1_000)
    await pass_time(stripe, book, seconds=5)
    found = await reconcile(book)
    assert outcomes(found) == [("re_1", Outcome.MENDED), ("du_1", Outcome.MENDED)]
    assert found[1].what == "needs_response with 1000 of pi_1"
    assert await pack(database) == (5, 100, 0)
    disputed(stripe, "du_1", "won", amount=1_000)
    await pass_time(stripe, book, seconds=5)
    assert outcomes(await reconcile(book)) == [("du_1", Outcome.MENDED)]
    assert await pack(database) == (105, 0, 0)
    assert await reconcile(book) == []
    assert await differences(database) == []


async def test_the_window_bounds_what_is_asked_and_pages_bound_the_calls(
    stripe: FakeStripe, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe.now = SINCE - timedelta(days=1)
    sold(stripe, "cs_old", "pi_old")
    stripe.now = NOW
    for number in range(250):
        sold(stripe, f"cs_{number}", f"pi_{number}", status="unpaid")
    sold(stripe, "cs_lost", "pi_lost")
    stripe.calls.clear()
    assert outcomes(await reconcile(book)) == [("cs_lost", Outcome.MENDED)]
    assert stripe.count("/v1/checkout/sessions") == 3
    assert stripe.count("/v1/refunds") == stripe.count("/v1/disputes") == 1
    monkeypatch.setattr(missing_payments, "PAGES_MAX", 2)
    one = await store.begin(database, OPERATOR, SINCE, dry_run=True)
    assert book.stripe is not None
    stripe.calls.clear()
    assert await Reconciler(book, book.stripe, one, print).run()
    assert stripe.count("/v1/checkout/sessions") == 2
    assert one.notes == ["Of /v1/checkout/sessions only the newest were compared."]
    assert one.counts.not_compared == 1


async def test_who_was_cut_off_goes_on_after_the_page_that_was_done(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    sold(stripe, "cs_lost", "pi_lost")  # the oldest: on the last page
    for number in range(150):
        sold(stripe, f"cs_{number}", f"pi_{number}", status="unpaid")
    one = await store.begin(database, OPERATOR, SINCE, dry_run=False)
    assert book.stripe is not None
    found: list[Any] = []
    reached = []
    # No time at all: one page in each turn.
    while one.part in (Part.EVENTS, Part.MONEY):
        await Reconciler(book, book.stripe, one, found.append, within_s=0).run()
        reached.append(one.reached)
        assert len(reached) < 10
    assert reached == ["0 cs_50", "1 ", "2 ", "3 ", None]
    assert outcomes(found) == [("cs_lost", Outcome.MENDED)]
    assert one.counts.payments == 151
    assert await differences(database) == []


async def test_where_stripe_lists_no_payments_the_rest_goes_on(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    stripe.lacking = {"/v1/checkout/sessions"}
    stripe.subscription()
    one = await store.begin(database, OPERATOR, SINCE, dry_run=False)
    assert book.stripe is not None
    found: list[Any] = []
    assert await Reconciler(book, book.stripe, one, found.append).run()
    assert outcomes(found) == [("sub_1", Outcome.MENDED)]
    assert "/v1/checkout/sessions cannot be compared" in one.notes[0]
