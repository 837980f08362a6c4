"""The hour's reconciliation: once, whoever ticks; cut off, crashed or resumed; in flat memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from datetime import timedelta
from typing import Any

import orjson
import pytest
import stripe as sdk

from app.book import Book
from app.doctor.examine import examine
from app.doctor.surroundings import Surroundings
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.jobs import arq_worker
from app.jobs.reconciling import reconcile_hourly
from app.operators.acts import Operator
from app.reconcile import reconcile, store
from app.reconcile.reconcile import Reconciler
from app.reconcile.store import LEASE
from app.webhooks.receive import receive
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_api.fake_stripe import FakeStripe
from tests.stripe_events import make_subscription_event

OPERATOR = Operator(actor="tests", reason="of the tests")
SINCE = NOW - timedelta(days=30)


async def pass_time(stripe: FakeStripe, database: Database, **by: float) -> None:
    stripe.now += timedelta(**by)
    await clock.stand(database, stripe.now)


async def rows(database: Database) -> list[dict[str, Any]]:
    return [dict(row) for row in await database.fetch("SELECT * FROM reconciliations ORDER BY id")]


async def test_each_hour_is_reconciled_once_whoever_ticks(stripe, book, database) -> None:
    stripe.subscription()
    await pass_time(stripe, database, seconds=1)
    did = await asyncio.gather(*(reconcile_hourly(book) for _ in range(5)))
    assert sum(did) == 1
    assert not await reconcile_hourly(book)
    assert stripe.count("/v1/subscriptions") == 1
    [row] = await rows(database)
    assert (row["part"], row["mended"], row["hour_at"]) == ("done", 1, NOW)
    await pass_time(stripe, database, minutes=59, seconds=58)
    assert not await reconcile_hourly(book)
    await pass_time(stripe, database, seconds=1)
    assert await reconcile_hourly(book)
    assert [row["mended"] for row in await rows(database)] == [1, 0]
    assert await differences(database) == []


async def test_who_subscribed_before_is_counted_as_taken_over(stripe, book, database) -> None:
    assert not await store.compared_once(database)
    for number in (1, 2):
        stripe.subscription(f"sub_{number}", customer=f"cus_{number}")
    gone = stripe.subscription("sub_3", customer="cus_3")
    gone["status"], gone["canceled_at"] = "canceled", int(stripe.now.timestamp())
    event = make_subscription_event("evt_1", "created", stripe.now, subscription="sub_4",
                                    customer="cus_4", status="active")  # fmt: skip
    await receive(book, orjson.dumps(event), livemode=False)
    await pass_time(stripe, database, seconds=1)
    stripe.subscription("sub_4", customer="cus_4")
    assert await reconcile_hourly(book)
    assert await store.compared_once(database)
    told = "2 subscriptions taken over from Stripe that no webhook had told of: 2 PRO"
    assert await store.taken_over(database) == told
    # What a webhook tells of them later changes nothing.
    event = make_subscription_event("evt_2", "updated", stripe.now + timedelta(seconds=5),
                                    subscription="sub_1", customer="cus_1")  # fmt: skip
    await receive(book, orjson.dumps(event), livemode=False)
    assert await store.taken_over(database) == told
    variables = {"DATABASE_URL": database.url, "STRIPE_API_KEY": "sk_test_1"}
    found = await examine(Surroundings(variables=variables, url=None, tiers=None))
    assert [one.said for one in found if one.name == "subscribers"] == [told]


async def test_without_a_key_nothing_is_reconciled(stripe, database) -> None:
    assert not await reconcile_hourly(Book(database))
    assert await rows(database) == []


async def test_the_worker_reconciles_after_its_tick(stripe, book, database) -> None:
    stripe.subscription()
    await pass_time(stripe, database, seconds=1)
    await arq_worker.tick_while_time_runs(book)
    assert await rows(database) == [], "under a standing clock its mover decides"
    await clock.run_on(database)
    await arq_worker.tick_while_time_runs(book)
    assert [row["mended"] for row in await rows(database)] == [1]


async def test_a_tick_that_has_no_more_time_is_gone_on_with(
    stripe: FakeStripe, book: Book, database: Database
) -> None:
    for n in range(130):
        stripe.subscription(f"sub_{n:03}", customer=f"cus_{n}")
    await pass_time(stripe, database, seconds=1)
    ticks = 0
    while await reconcile_hourly(book, within_s=0.3):
        ticks += 1
        assert ticks < 300
    assert ticks > 1
    [row] = await rows(database)
    assert (row["part"], row["mended"], row["compared"]) == ("done", 130, 130)
    assert await database.fetchval("SELECT count(*) FROM events") == 130
    assert await database.fetchval("SELECT count(*) FROM subscriptions") == 130


async def test_a_worker_that_dies_leaves_it_to_another_when_its_lease_is_over(
    stripe: FakeStripe, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between mending and saying so: nothing of its own ends it in order."""
    for n in range(5):
        stripe.subscription(f"sub_{n}", customer=f"cus_{n}")
        thing = stripe.subscriptions[f"sub_{n}"]
        if n < 2:
            stripe.event(f"evt_{n}", "customer.subscription.created", thing)
    await pass_time(stripe, database, seconds=1)
    one = await store.claim_hourly(database, SINCE)
    assert one is not None
    found = 0

    class Killed(BaseException):
        pass

    def die(_: object) -> None:
        nonlocal found
        found += 1
        if found == 4:
            raise Killed

    assert book.stripe is not None
    with pytest.raises(Killed):
        await Reconciler(book, book.stripe, one, die).run()
    assert not await reconcile_hourly(book), "it may be alive still"
    await pass_time(stripe, database, seconds=LEASE.total_seconds() + 1)
    assert await reconcile_hourly(book)
    [row] = await rows(database)
    assert row["part"] == "done"
    assert await database.fetchval("SELECT count(*) FROM events") == 5
    assert await database.fetchval("SELECT sum(free) FROM accounts") == 100
    assert await differences(database) == []


async def test_a_stripe_that_is_away_holds_up_nothing_and_is_asked_again(
    stripe: FakeStripe, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0.01)
    stripe.subscription()
    await pass_time(stripe, database, seconds=1)
    stripe.faults = ["500"] * 3
    assert await reconcile_hourly(book)
    assert [row["part"] for row in await rows(database)] == ["events"]
    await pass_time(stripe, database, hours=2)
    assert await reconcile_hourly(book), "the one that was begun comes first"
    assert await reconcile_hourly(book)
    assert not await reconcile_hourly(book)
    assert [row["part"] for row in await rows(database)] == ["done", "done"]
    assert await database.fetchval("SELECT tier FROM accounts") == "PRO"


async def test_thousands_are_compared_in_the_memory_of_a_page(
    stripe: FakeStripe, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peak over 1,500 is that over 400: nothing grows with the number of customers."""
    monkeypatch.setattr(reconcile, "BATCH_SIZE", 50)

    async def peak(count: int) -> int:
        old = int((SINCE - timedelta(days=9)).timestamp())
        for n in range(len(stripe.subscriptions), count):
            stripe.subscription(f"sub_{n}", status="canceled", ended_at=old)
        pages = 0
        one = await store.begin(database, OPERATOR, SINCE, dry_run=False)
        assert book.stripe is not None
        tracemalloc.start()
        async for page in book.stripe.subscriptions():
            pages += len(page.items)
            if pages == 300:
                tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert await Reconciler(book, book.stripe, one, lambda _: None).run()
        most = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert one.counts.compared == count
        stripe.calls.clear()
        return most

    small = await peak(400)
    assert await peak(1_500) < 1.5 * small + 500_000
