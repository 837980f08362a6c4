"""Webhooks that never came: reconciling with Stripe finds what was missed and mends it."""

from __future__ import annotations

import asyncio
import json
import typing
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import stripe as sdk

from app.book import Book
from app.errors import StripeUnavailableError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.operators.acts import Operator
from app.reconcile import store
from app.reconcile.reconcile import EVENT_TYPES, Reconciler
from app.reconcile.store import Finding, Outcome
from app.webhooks.receive import receive
from app.webhooks.translate import Thin, translate
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_api.fake_stripe import Call, FakeStripe
from tests.stripe_events import make_subscription_event

OPERATOR = Operator(actor="tests", reason="of the tests")
SINCE = NOW - timedelta(days=30)
TABLES = (
    "accounts",
    "customers",
    "events",
    "facts",
    "subscriptions",
    "transitions",
    "journals",
    "entries",
    "lots",
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0.01)


async def reconcile(book: Book, *, dry_run: bool = False) -> list[Finding]:
    """One whole reconciliation; what it found."""
    found: list[Finding] = []
    assert book.stripe is not None
    one = await store.begin(book.database, OPERATOR, SINCE, dry_run=dry_run)
    assert await Reconciler(book, book.stripe, one, found.append).run()
    return found


async def hear(book: Book, event: dict[str, Any]) -> str:
    """The event comes in as a webhook does."""
    return (await receive(book, json.dumps(event).encode(), livemode=False)).outcome


async def pass_time(stripe: FakeStripe, book: Book, **by: float) -> None:
    """Time passes at Stripe and here."""
    stripe.now += timedelta(**by)
    await clock.stand(book.database, stripe.now)


async def tier(database: Database, customer: str = "cus_1") -> tuple[str, int]:
    row = await database.fetchrow(
        "SELECT tier, free FROM accounts JOIN customers ON account_id = accounts.id"
        " WHERE customers.id = $1",
        customer,
    )
    return (row["tier"], row["free"]) if row else ("nobody", 0)


async def state(database: Database, subscription_id: str = "sub_1") -> str | None:
    return await database.fetchval("SELECT state FROM subscriptions WHERE id = $1", subscription_id)


async def contents(database: Database) -> dict[str, list[str]]:
    return {
        table: [row[0] for row in await database.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")]
        for table in TABLES
    }


def outcomes(found: list[Finding]) -> list[tuple[str, Outcome]]:
    return [(finding.thing, finding.outcome) for finding in found]


async def test_an_event_that_was_not_delivered_is_fetched_and_applied(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    stripe.event("evt_1", "customer.subscription.created", stripe.subscription())
    found = await reconcile(book)
    assert outcomes(found) == [("evt_1", Outcome.MENDED)]
    assert await tier(database) == ("PRO", 20)
    assert await reconcile(book) == []
    assert await hear(book, stripe.events[0][0]) == "duplicate"
    assert await differences(database) == []


async def test_what_was_lost_after_our_answer_is_found_by_comparing(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    """Created, upgraded and ended, with not one event that anybody would deliver again."""
    stripe.subscription()
    await pass_time(stripe, book, seconds=5)
    assert outcomes(await reconcile(book)) == [("sub_1", Outcome.MENDED)]
    assert await tier(database) == ("PRO", 20)

    stripe.subscription(price="price_enterprise_monthly")
    await pass_time(stripe, book, seconds=5)
    found = await reconcile(book)
    assert outcomes(found) == [("sub_1", Outcome.MENDED)]
    assert found[0].what == "prices price_pro_monthly → price_enterprise_monthly"
    assert await tier(database) == ("ENTERPRISE", 50)

    stripe.subscription(status="canceled", canceled_at=int(stripe.now.timestamp()))
    await pass_time(stripe, book, seconds=5)
    found = await reconcile(book)
    assert found[0].what.startswith("state active → canceled")
    assert await tier(database) == ("FREE", 5)
    assert await state(database) == "canceled"
    kinds = await database.fetch("SELECT id, type, created_at FROM events ORDER BY created_at")
    assert [row["type"] for row in kinds] == [
        "customer.subscription.updated",
        "customer.subscription.updated",
        "customer.subscription.deleted",
    ]
    assert all(row["id"].startswith("tbrec_") for row in kinds)
    assert kinds[2]["created_at"] == stripe.now
    assert await reconcile(book) == []
    assert await differences(database) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": "past_due"}, "state active → past_due"),
        ({"status": "unpaid"}, "state active → past_due"),
        ({"status": "trialing"}, "status active → trialing"),
        ({"cancel_at_period_end": True}, "ends with its period no → yes"),
        ({"price": "price_pro_yearly"}, "prices price_pro_monthly → price_pro_yearly"),
    ],
)
async def test_each_thing_that_differs_is_named_and_mended(
    stripe: FakeStripe, book: Book, database: Database, change: dict[str, Any], what: str
) -> None:
    thing = stripe.subscription()
    await hear(book, stripe.event("evt_1", "customer.subscription.created", thing, delivered=True))
    await pass_time(stripe, book, seconds=1)
    stripe.subscription(**change)
    found = await reconcile(book)
    assert [finding.outcome for finding in found] == [Outcome.MENDED]
    assert found[0].what.split("; ")[0] == what
    assert await reconcile(book, dry_run=True) == []


async def test_a_renewal_that_was_missed_moves_the_period(stripe, book, database) -> None:
    thing = stripe.subscription()
    await hear(book, stripe.event("evt_1", "customer.subscription.created", thing, delivered=True))
    await pass_time(stripe, book, days=30)
    stripe.renew("sub_1")
    found = await reconcile(book)
    assert [f.what for f in found] == ["period ends 2026-01-31 12:00:00 → 2026-03-02 12:00:00"]
    assert await reconcile(book) == []


async def test_days_of_missed_events_come_in_their_order(stripe, book, database) -> None:
    """Oldest first: each state is passed through, as if nothing had been missed."""
    stripe.event("evt_0", "customer.subscription.created", stripe.subscription())
    steps = ["past_due", "active", "unpaid", "active"]
    for n in range(150):
        stripe.now += timedelta(hours=1)
        thing = stripe.subscription(status=steps[n % 4])
        stripe.event(f"evt_{n + 1}", "customer.subscription.updated", thing)
    await clock.stand(database, stripe.now)
    found = await reconcile(book)
    assert [f.thing for f in found] == [f"evt_{n}" for n in range(151)]
    rows = await database.fetch("SELECT to_state, effective_at FROM transitions ORDER BY id")
    assert len(rows) == 151
    assert [row["effective_at"] for row in rows] == sorted(row["effective_at"] for row in rows)
    assert await state(database) == ("active" if steps[149 % 4] == "active" else "past_due")
    assert await differences(database) == []


async def test_a_dry_run_tells_the_drift_and_changes_nothing(stripe, book, database) -> None:
    thing = stripe.subscription()
    await hear(book, stripe.event("evt_1", "customer.subscription.created", thing, delivered=True))
    await pass_time(stripe, book, seconds=9)
    stripe.subscription(status="canceled")
    stripe.event("evt_2", "customer.subscription.created", stripe.subscription("sub_2"))
    before = await contents(database)
    found = await reconcile(book, dry_run=True)
    assert outcomes(found) == [
        ("evt_2", Outcome.FOUND),
        ("sub_1", Outcome.FOUND),
        ("sub_2", Outcome.FOUND),
    ]
    assert await contents(database) == before
    assert outcomes(await reconcile(book)) == [("evt_2", Outcome.MENDED), ("sub_1", Outcome.MENDED)]


async def test_a_dry_run_names_what_cannot_be_mended_and_why(stripe, book, database) -> None:
    thing = stripe.subscription("sub_1", customer="cus_1")
    await hear(book, stripe.event("evt_1", "customer.subscription.created", thing, delivered=True))
    await hear(book, stripe.event("evt_2", "customer.subscription.deleted", thing, delivered=True))
    stripe.subscription("sub_2", customer="cus_2", status="hibernating")
    stripe.subscription("sub_3", customer="cus_3", price="price_of_nobody")
    stripe.subscription("sub_4", customer="cus_4")
    await pass_time(stripe, book, seconds=9)
    before = await contents(database)
    found = {one.thing: one for one in await reconcile(book, dry_run=True)}
    assert await contents(database) == before
    assert {thing: one.outcome for thing, one in found.items()} == {
        "sub_1": Outcome.UNMENDED,
        "sub_2": Outcome.UNMENDED,
        "sub_3": Outcome.UNMENDED,
        "sub_4": Outcome.FOUND,
    }
    assert "that is final" in found["sub_1"].note
    assert "unknown status 'hibernating'" in found["sub_2"].note
    assert "no price is in the catalogue: price_of_nobody" in found["sub_3"].note
    assert found["sub_4"].note == "applied: updated leaves it active"
    mended = {one.thing: one.outcome for one in await reconcile(book)}
    assert mended == {
        thing: Outcome.MENDED if one.outcome is Outcome.FOUND else one.outcome
        for thing, one in found.items()
    }


async def test_lists_that_stripe_refuses_are_counted_as_not_compared(
    stripe, book, database
) -> None:
    stripe.lacking = {"/v1/events", "/v1/checkout/sessions", "/v1/subscriptions"}
    assert await reconcile(book) == []
    row = await database.fetchrow("SELECT not_compared, notes FROM reconciliations")
    assert (row["not_compared"], len(row["notes"])) == (3, 3)
    stripe.lacking = set()
    await reconcile(book)
    row = await database.fetchrow("SELECT not_compared FROM reconciliations ORDER BY id DESC")
    assert row["not_compared"] == 0


async def test_what_stripe_does_not_list_is_asked_for_one_by_one(stripe, book, database) -> None:
    """One that Stripe no longer knows ends; the other is there, however the list came to be."""
    for name in ("sub_1", "sub_2"):
        thing = stripe.subscription(name, customer=f"cus_{name}")
        await hear(book, stripe.event(f"evt_{name}", "customer.subscription.created", thing))
    await pass_time(stripe, book, seconds=2)
    del stripe.subscriptions["sub_1"]
    found = await reconcile(book)
    assert outcomes(found) == [("sub_1", Outcome.MENDED)]
    assert found[0].what == "subscription active → unknown to Stripe"
    assert await tier(database, "cus_sub_1") == ("FREE", 5)
    assert await tier(database, "cus_sub_2") == ("PRO", 20)
    assert await reconcile(book) == []


async def test_a_stripe_account_that_knows_nothing_of_us_cancels_nothing(
    stripe, book, database
) -> None:
    """The key is another account's: a cancellation is final, so nobody is canceled by a guess."""
    for n in range(3):
        event = make_subscription_event(
            f"evt_{n}", "created", NOW, subscription=f"sub_{n}", customer=f"cus_{n}"
        )
        await hear(book, event)
    # What that account holds is brought here, and still proves nothing an hour later.
    stripe.subscription("sub_other", customer="cus_other")
    missed = stripe.subscription("sub_missed", customer="cus_missed")
    stripe.event("evt_other", "customer.subscription.created", missed)
    for _ in range(2):
        await pass_time(stripe, book, hours=1)
        found = [f for f in await reconcile(book) if f.thing in ("sub_0", "sub_1", "sub_2")]
        assert [f.outcome for f in found] == [Outcome.UNMENDED] * 3
        assert "another account's" in found[0].note
    assert await tier(database, "cus_2") == ("PRO", 20)
    assert await tier(database, "cus_missed") == ("PRO", 20)


async def test_drift_whose_event_waits_in_the_inbox_is_not_lost(
    stripe, book, database, server
) -> None:
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute("ALTER TABLE facts ADD CONSTRAINT broken CHECK (event_id <> 'evt_1')")
    thing = stripe.subscription()
    event = stripe.event("evt_1", "customer.subscription.created", thing, delivered=True)
    assert await hear(book, event) == "queued"
    for dry_run in (True, False):
        found = await reconcile(book, dry_run=dry_run)
        assert outcomes(found) == [("sub_1", Outcome.WAITING)]
        assert "evt_1 is queued" in found[0].note
    assert await database.fetchval("SELECT count(*) FROM events") == 1
    await owner.close()


async def test_what_is_canceled_here_is_not_revived(stripe, book, database) -> None:
    thing = stripe.subscription()
    await hear(book, stripe.event("evt_1", "customer.subscription.deleted", thing))
    await pass_time(stripe, book, seconds=2)
    found = await reconcile(book)
    assert outcomes(found) == [("sub_1", Outcome.UNMENDED)]
    assert "final" in found[0].note
    assert await state(database) == "canceled"


async def test_what_cannot_be_mended_is_parked_once_and_said_each_time(
    stripe, book, database
) -> None:
    stripe.subscription("sub_1", status="hibernating")
    stripe.subscription("sub_2", price="price_nobody_knows", customer="cus_2")
    for n in range(3):
        await pass_time(stripe, book, hours=1)
        found = await reconcile(book)
        told = {f.thing: f for f in found}
        assert "unknown status" in told["sub_1"].note
        assert ("sub_2" in told) == (n == 0)
    assert await database.fetchval("SELECT count(*) FROM events WHERE verdict = 'parked'") == 2
    thing = stripe.subscription("sub_3", customer="cus_3")
    await hear(book, stripe.event("evt_3", "customer.subscription.created", thing))
    await pass_time(stripe, book, seconds=2)
    stripe.subscription("sub_3", customer="cus_4")
    found = [f for f in await reconcile(book) if f.thing == "sub_3"]
    assert [f.outcome for f in found] == [Outcome.UNMENDED]
    assert "belongs to customer cus_3" in found[0].note


async def test_a_live_subscription_does_not_touch_a_test_book(stripe, book, database) -> None:
    stripe.event("evt_1", "customer.subscription.created", stripe.subscription(livemode=True))
    found = await reconcile(book)
    assert [f.outcome for f in found] == [Outcome.UNMENDED] * 2
    assert "does not touch this book" in found[0].note
    assert "does not touch this book" in found[1].note
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0


async def test_who_left_long_ago_is_history_and_who_left_lately_is_not(
    stripe, book, database
) -> None:
    old = int((SINCE - timedelta(seconds=1)).timestamp())
    stripe.subscription("sub_1", status="canceled", ended_at=old)
    stripe.subscription("sub_2", status="canceled", ended_at=old + 2, customer="cus_2")
    await reconcile(book)
    assert await state(database, "sub_1") is None
    assert await state(database, "sub_2") == "canceled"


async def reconcile_while_it_changes(
    stripe: FakeStripe, book: Book, *, missed: dict[str, str], heard: dict[str, str], after_s: int
) -> None:
    """Stripe answers, then the subscription changes and its event arrives before we act."""
    thing = stripe.subscription()
    await hear(book, stripe.event("evt_1", "customer.subscription.created", thing, delivered=True))
    await pass_time(stripe, book, seconds=5)
    stripe.subscription(**missed)
    changed = asyncio.Event()

    async def change(call: Call) -> None:
        if call.path == "/v1/subscriptions/sub_1":
            stripe.now += timedelta(seconds=after_s)
            thing = stripe.subscription(**heard)
            event = stripe.event("evt_2", "customer.subscription.updated", thing, delivered=True)
            await hear(book, event)
            changed.set()

    stripe.after_answer = change
    await reconcile(book)
    await changed.wait()
    stripe.after_answer = None


async def test_a_webhook_that_comes_while_one_reconciles_has_the_last_word(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    await reconcile_while_it_changes(
        stripe,
        book,
        missed={"price": "price_enterprise_monthly"},
        heard={"status": "past_due"},
        after_s=0,
    )
    assert await state(database) in ("past_due", "active")
    await pass_time(stripe, book, seconds=5)
    await reconcile(book)
    assert await state(database) == "past_due"
    assert await reconcile(book) == []
    assert await differences(database) == []


async def test_a_newer_event_outranks_the_snapshot_that_was_asked_for(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    """The list is read, a second passes, the upgrade's webhook comes: the answer is of before."""
    await reconcile_while_it_changes(
        stripe,
        book,
        missed={"status": "past_due"},
        heard={"status": "active", "price": "price_enterprise_monthly"},
        after_s=1,
    )
    assert await tier(database) == ("ENTERPRISE", 50)
    assert await reconcile(book) == []


async def test_two_who_reconcile_at_once_mend_once(stripe, book, database) -> None:
    for n in range(12):
        stripe.subscription(f"sub_{n}", customer=f"cus_{n}")
        if n % 2:
            thing = stripe.subscriptions[f"sub_{n}"]
            stripe.event(f"evt_{n}", "customer.subscription.created", thing)
    await pass_time(stripe, book, seconds=1)
    await asyncio.gather(*(reconcile(book) for _ in range(3)))
    credits = await database.fetch("SELECT free FROM accounts")
    assert [row["free"] for row in credits] == [20] * 12
    assert await database.fetchval("SELECT count(*) FROM transitions") == 12
    assert await reconcile(book) == []
    assert await differences(database) == []


@pytest.mark.parametrize("fault", ["500", "429", "hangs up", "no json"])
async def test_a_stripe_that_goes_away_keeps_what_was_done_and_the_next_goes_on(
    stripe, book, database, fault
) -> None:
    for n in range(4):
        stripe.subscription(f"sub_{n}", customer=f"cus_{n}")
    await pass_time(stripe, book, seconds=1)

    async def fail(call: Call) -> None:
        if call.path == "/v1/subscriptions/sub_1":
            stripe.faults = [fault] * 3

    stripe.after_answer = fail
    with pytest.raises(StripeUnavailableError):
        await reconcile(book)
    stripe.after_answer, stripe.faults = None, []
    assert [await tier(database, f"cus_{n}") for n in range(4)] == [
        ("PRO", 20),
        ("PRO", 20),
        ("nobody", 0),
        ("nobody", 0),
    ]
    assert outcomes(await reconcile(book)) == [("sub_2", Outcome.MENDED), ("sub_3", Outcome.MENDED)]
    assert await differences(database) == []


async def test_where_one_part_of_the_api_is_lacking_the_other_goes_on(
    stripe, book, database
) -> None:
    stripe.subscription()
    stripe.lacking = {"/v1/events"}
    one = await store.begin(database, OPERATOR, SINCE, dry_run=False)
    found: list[Finding] = []
    assert await Reconciler(book, book.stripe, one, found.append).run()
    assert outcomes(found) == [("sub_1", Outcome.MENDED)]
    assert "undelivered events cannot be listed" in one.notes[0]
    stripe.lacking = {"/v1/subscriptions"}
    stripe.event("evt_2", "customer.subscription.created", stripe.subscription("sub_2"))
    one = await store.begin(database, OPERATOR, SINCE, dry_run=False)
    assert await Reconciler(book, book.stripe, one, found.append).run()
    assert outcomes(found)[1:] == [("evt_2", Outcome.MENDED)]
    assert "subscriptions cannot be compared" in one.notes[0]
    row = await database.fetchrow("SELECT * FROM reconciliations ORDER BY id DESC LIMIT 1")
    assert row is not None
    assert (row["part"], row["events_taken"], row["mended"], row["notes"]) == (
        "done",
        1,
        1,
        one.notes,
    )


def test_every_type_that_is_read_is_fetched() -> None:
    """Held to the types that the SDK knows: a new reader's events are missed by nobody."""
    known = typing.get_args(typing.get_type_hints(sdk.Event)["type"])
    thin = {
        "id": "evt_1",
        "object": "v2.core.event",
        "created": "2026-01-01T00:00:00Z",
        "livemode": False,
        "related_object": {"url": "/v1/things/x"},
    }
    read = {kind for kind in known if isinstance(translate(thin | {"type": f"v1.{kind}"}), Thin)}
    assert len(read) > 20
    assert read <= set(EVENT_TYPES) <= set(known)


async def test_a_pack_whose_webhook_was_missed_is_there_once(stripe, book, database) -> None:
    paid = make_session_event("evt_1", NOW)
    stripe.events.append((paid, False))
    assert outcomes(await reconcile(book)) == [("evt_1", Outcome.MENDED)]
    assert await hear(book, paid) == "duplicate"
    assert await reconcile(book) == []
    lots = await database.fetch("SELECT free FROM lots WHERE source = 'purchased'")
    assert [lot["free"] for lot in lots] == [100]
    assert await differences(database) == []


async def test_a_list_that_refuses_its_second_page_is_not_asked_for_ever(
    stripe: FakeStripe, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed where a subscription is gone it begins again; refused once more it ends, and says."""
    for n in range(120):
        old = int((SINCE - timedelta(days=9)).timestamp())
        stripe.subscription(f"sub_{n}", status="canceled", ended_at=old)
    told = stripe.answer

    def refusing(call: Call) -> tuple[int, Any]:
        refused = {"type": "invalid_request_error", "message": "No such subscription: …"}
        return (400, {"error": refused}) if "starting_after" in call.params else told(call)

    monkeypatch.setattr(stripe, "answer", refusing)
    one = await store.begin(database, OPERATOR, SINCE, dry_run=False)
    one.part, one.reached = store.Part.LISTED, "sub_gone"
    assert book.stripe is not None
    assert await Reconciler(book, book.stripe, one, lambda _: None).run()
    assert stripe.count("/v1/subscriptions") == 3
    assert "cannot be compared" in one.notes[0]
