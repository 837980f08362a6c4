"""What no event told: reconciling mends each kind of it once, or says why it cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from app.book import Book
from app.infrastructure.db import Database
from app.reconcile.store import Finding, Outcome
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import PACK
from tests.stripe_api.fake_stripe import FakeStripe
from tests.stripe_api.test_lost_money import disputed, pack, refunded, sold
from tests.stripe_api.test_reconcile import (
    contents,
    hear,
    outcomes,
    pass_time,
    reconcile,
    tier,
)

PACK_PRICE = "price_pack_100"
IGNORED = ["price_hours"] * 10
CATALOGUE = f"ignored_prices = {IGNORED[:1]}\n{default_text()}".replace(
    "daily_credits = 20", 'daily_credits = 20\npause_collection = "none"'
)


def items(*prices: str, quantity: int = 1) -> dict[str, Any]:
    """A list of subscription items or of line items."""
    data = [
        {"id": f"it_{at}", "quantity": quantity, "price": {"id": price}}
        for at, price in enumerate(prices)
    ]
    return {"object": "list", "data": data, "has_more": False}


async def heard(stripe: FakeStripe, book: Book, kind: str = "created", **changes: Any) -> None:
    """Something changes about the subscription, and its event comes here."""
    thing = stripe.subscription(**changes)
    name = f"evt_{kind}_{stripe.now:%H%M%S}"
    await hear(book, stripe.event(name, f"customer.subscription.{kind}", thing, delivered=True))


async def mended(book: Book, *what: str) -> list[Finding]:
    """A rehearsal finds this and leaves nothing; a real run mends it, and finds no more after."""
    before = await contents(book.database)
    rehearsed = await reconcile(book, dry_run=True)
    assert await contents(book.database) == before
    assert {one.outcome for one in rehearsed} == {Outcome.FOUND}
    found = await reconcile(book)
    assert [one.what for one in found] == list(what)
    assert {one.outcome for one in found} == {Outcome.MENDED}
    assert await reconcile(book) == []
    assert await differences(book.database) == []
    return found


CHANGES: list[tuple[dict[str, Any], str, tuple[str, int]]] = [
    (
        {"items": items(*IGNORED, "price_enterprise_monthly")},
        "prices price_pro_monthly → price_enterprise_monthly" + ", price_hours" * 10,
        ("ENTERPRISE", 50),
    ),
    (
        {"items": items("price_pro_monthly", quantity=0)},
        "prices price_pro_monthly → none",
        ("FREE", 5),
    ),
    ({"status": "unpaid"}, "state active → past_due; status active → unpaid", ("FREE", 5)),
    (
        {"cancel_at": int((NOW + timedelta(days=9)).timestamp())},
        "ends none → 2026-01-10 12:00:00",
        ("PRO", 20),
    ),
    ({"pause_collection": {"behavior": "void"}}, "collection paused no → yes", ("FREE", 5)),
]


@pytest.mark.parametrize(("change", "what", "ends"), CHANGES, ids=[what for _, what, _ in CHANGES])
async def test_a_change_that_nobody_heard_is_mended(
    stripe: FakeStripe, book: Book, database: Database, change: Any, what: str, ends: Any
) -> None:
    await apply_tiers(book, CATALOGUE)
    await heard(stripe, book)
    await pass_time(stripe, book, seconds=5)
    period = stripe.subscriptions["sub_1"]["items"]["data"][0]["current_period_end"]
    if "items" in change:
        change["items"]["data"][0]["current_period_end"] = period
    stripe.subscription(**change)
    await mended(book, what)
    assert await tier(database) == ends


async def test_a_name_that_nobody_heard_moves_the_subscription(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await heard(stripe, book)
    await pass_time(stripe, book, seconds=5)
    stripe.subscription(metadata={"tallybook_account_id": "ada"})
    await mended(book, "names none → ada")
    query = "SELECT external_id FROM accounts JOIN subscriptions ON account_id = accounts.id"
    assert await database.fetchval(query) == "ada"
    await pass_time(stripe, book, seconds=5)
    stripe.subscription(metadata={"tallybook_account_id": "bob"})
    await mended(book, "names ada → bob")
    assert await database.fetchval(query) == "bob"


async def test_what_a_customer_says_and_that_it_is_gone_come_with_its_subscription(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await heard(stripe, book)
    await pass_time(stripe, book, seconds=5)
    customer = {"id": "cus_1", "object": "customer", "metadata": {"tallybook_account_id": "ada"}}
    stripe.objects["/v1/customers/cus_1"] = customer
    await mended(book, "customer names none → ada")
    query = "SELECT external_id FROM accounts JOIN customers ON account_id = accounts.id"
    assert await database.fetchval(query) == "ada"
    await pass_time(stripe, book, seconds=5)
    stripe.objects["/v1/customers/cus_1"] = {"id": "cus_1", "object": "customer", "deleted": True}
    stripe.subscription(status="canceled")
    await mended(book, "customer known → deleted")
    assert await tier(database) == ("FREE", 5)
    assert await database.fetchval("SELECT deleted_at IS NOT NULL FROM customers") is True


async def test_a_session_that_names_somebody_counts_whatever_it_sells(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await heard(stripe, book)
    named = {"tallybook_account_id": "ada"}
    sold(stripe, "cs_1", "pi_1", mode="subscription", subscription="sub_1", metadata=named)
    stripe.objects["/v1/checkout/sessions/cs_1"]["payment_intent"] = None
    await pass_time(stripe, book, seconds=5)
    await mended(book, "names ada, and nothing was told")
    assert (await tier(database))[0] == "PRO"
    query = "SELECT external_id FROM accounts JOIN customers ON account_id = accounts.id"
    assert await database.fetchval(query) == "ada"


PACKS: list[tuple[dict[str, Any], int]] = [
    ({"line_items": items(PACK_PRICE, quantity=5)}, 500),
    ({"line_items": items("price_pro_monthly", PACK_PRICE), "mode": "subscription"}, 100),
    ({"line_items": items(*IGNORED, PACK_PRICE)}, 100),
]


@pytest.mark.parametrize(("session", "credits"), PACKS, ids=["five", "beside", "eleven lines"])
async def test_what_was_bought_is_read_from_the_lines(
    stripe: FakeStripe, book: Book, database: Database, session: dict[str, Any], credits: int
) -> None:
    await apply_tiers(book, CATALOGUE)
    sold(stripe, "cs_1", "pi_1", metadata={}, **session)
    await pass_time(stripe, book, seconds=5)
    assert outcomes(await reconcile(book)) == [("cs_1", Outcome.MENDED)]
    assert await pack(database) == (credits + 5, 0, 0)
    assert await reconcile(book) == []
    assert await differences(database) == []


@pytest.mark.parametrize("told", ["session", "nothing"])
async def test_a_capture_that_nobody_heard_opens_the_pack(
    stripe: FakeStripe, book: Book, database: Database, told: str
) -> None:
    event = sold(stripe, "cs_1", "pi_1", status="unpaid")
    if told == "session":
        await hear(book, event)
    await pass_time(stripe, book, seconds=5)
    intent = {"id": "pi_1", "object": "payment_intent", "livemode": False, "amount_received": 1_000}
    stripe.objects["/v1/payment_intents/pi_1"] = {**intent, "status": "requires_capture"}
    assert await reconcile(book) == []
    stripe.objects["/v1/payment_intents/pi_1"] = {**intent, "status": "succeeded"}
    found = await reconcile(book)
    assert {one.outcome for one in found} == {Outcome.MENDED}
    assert "by a capture" in found[-1].what
    assert await pack(database) == (105, 0, 0)
    assert await reconcile(book) == []
    assert await differences(database) == []


async def test_a_dispute_that_names_a_charge_alone_is_of_the_charges_payment(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await hear(book, sold(stripe, "cs_1", "pi_1"))
    disputed(stripe, "du_1", "needs_response", amount=500, intent=None, charge="ch_9")
    refunded(stripe, "re_1", 500, intent=None, charge="ch_9")
    charge = {"id": "ch_9", "object": "charge", "payment_intent": "pi_1"}
    stripe.objects["/v1/charges/ch_9"] = charge
    await pass_time(stripe, book, seconds=5)
    await mended(book, "succeeded with 500 of pi_1", "needs_response with 500 of pi_1")
    assert await pack(database) == (5, 50, 0)


async def test_packs_of_which_one_was_assumed_are_named_with_what_lacks(
    stripe: FakeStripe, database: Database, book: Book
) -> None:
    """The event came before there was a key; afterwards Stripe tells that it sold three."""
    event = sold(stripe, "cs_1", "pi_1", metadata={"tallybook_pack": "P100"})
    assert await hear(Book(database), event) == "applied"
    stripe.objects["/v1/checkout/sessions/cs_1"]["line_items"] = items("price_x", quantity=3)
    for dry_run in (True, False):
        (found,) = await reconcile(book, dry_run=dry_run)
        assert (found.thing, found.outcome) == ("cs_1", Outcome.UNMENDED)
        assert found.what == "pack P100 was paid 3 times, and one was assumed when it was opened"
        assert "give the 200 credits that lack" in found.note
    assert await pack(database) == (105, 0, 0)


async def test_a_pack_that_the_catalogue_lacks_is_named_until_it_has_it(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    sold(stripe, "cs_1", "pi_1", metadata={**PACK, "tallybook_pack": "P7"})
    for _ in range(2):
        (found,) = await reconcile(book)
        assert (found.thing, found.outcome) == ("cs_1", Outcome.UNMENDED)
        assert "no pack 'P7' is in the catalogue" in found.note
    assert await database.fetchval("SELECT count(*) FROM events") == 1
    await apply_tiers(book, default_text().replace("[packs.P100]", "[packs.P7]"))
    assert outcomes(await reconcile(book)) == [("cs_1", Outcome.MENDED)]
    assert await pack(database) == (105, 0, 0)


async def test_what_nobody_can_read_is_named_if_it_may_be_ours(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await hear(book, sold(stripe, "cs_1", "pi_1"))
    refunded(stripe, "re_1", 400, status="halfway")
    refunded(stripe, "re_2", 400, status="halfway", intent="pi_of_others", charge="ch_of_others")
    sold(stripe, "cs_2", "pi_2", mode="barter")
    sold(stripe, "cs_3", "pi_3", mode="barter", metadata={})
    found = await reconcile(book)
    assert outcomes(found) == [("cs_2", Outcome.UNMENDED), ("re_1", Outcome.UNMENDED)]
    assert [one.note for one in found] == [
        "unknown shape: mode is 'barter'",
        "unknown shape: a refund's status is 'halfway'",
    ]
    assert await reconcile(book, dry_run=True) == found
    assert await database.fetchval("SELECT count(*) FROM events") == 1


async def test_a_list_that_stripe_refuses_leaves_the_others_compared(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await hear(book, sold(stripe, "cs_1", "pi_1"))
    refunded(stripe, "re_1", 400)
    stripe.lacking = {"/v1/checkout/sessions", "/v1/disputes"}
    assert outcomes(await reconcile(book)) == [("re_1", Outcome.MENDED)]
    row = await database.fetchrow("SELECT not_compared, notes FROM reconciliations")
    assert row is not None
    assert row["not_compared"] == 2
    assert [note.split()[1] for note in row["notes"]] == ["/v1/checkout/sessions", "/v1/disputes"]
