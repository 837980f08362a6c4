"""Deliveries that come together share a transaction; what they leave is what each leaves alone."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import signal
import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app.accounts.open import CUSTOMER_LOCK
from app.accounts.put import put
from app.book import Book
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.webhooks import delivery, inbox, no_effect
from app.webhooks.delivery import Delivery
from app.webhooks.group import WebhookGroups
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.receive import receive, take_in_with_effects
from tests.conftest import NOW, new_server, open_database, rows
from tests.invariants import differences
from tests.properties.test_any_order import life_of
from tests.stripe_events import make_event, make_subscription_event

Event = dict[str, Any]
NUMBERS = count(1)
PRICES = ("price_pro_monthly", "price_enterprise_monthly", "price_unknown")
# Mostly what leaves a subscription as it stood: that is what the groups are for.
happenings = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("status"), st.sampled_from(["active"] * 6 + ["past_due", "paused"])),
            st.tuples(st.just("price"), st.sampled_from([PRICES[0]] * 4 + list(PRICES[1:]))),
            st.tuples(st.just("invoice"), st.sampled_from(["paid", "payment_failed"])),
            st.tuples(st.just("metadata"), st.sampled_from(["", "", "", "u1"])),
            st.tuples(st.just("customer"), st.sampled_from(["", "u2"])),
            st.tuples(st.sampled_from(["deleted", "customer deleted"]), st.just("")),
        ),
        st.sampled_from([0, 1, 1, 1, 2]),
    ),
    min_size=1,
    max_size=6,
)
# All rows that an event can write, but for numbers that a sequence gave and the time of writing.
TABLES = {
    "events": """SELECT to_jsonb(events) - 'number' FROM events WHERE customer_id = ANY($1)
                  ORDER BY id""",
    "others": """SELECT to_jsonb(events) - 'number' FROM events WHERE customer_id IS NULL
                  ORDER BY id""",
    "deliveries": """SELECT event_id, deliveries.verdict, reason, deliveries.received_at
                       FROM deliveries JOIN events ON events.id = event_id
                      ORDER BY deliveries.event_id, deliveries.id""",
    "facts": "SELECT * FROM facts ORDER BY event_id",
    "subscriptions": """SELECT id, customer_id, state, status, price_id, price_ids, period_end_at,
                               billing_cycle, cancel_at_period_end, tier, grace_tier,
                               grace_ends_at, failing_since, last_event_id, last_event_at,
                               created_at, updated_at, settled_to, settled, settled_catalogue_id
                          FROM subscriptions ORDER BY id""",
    "transitions": """SELECT subscription_id, from_state, to_state, trigger, event_id, effective_at,
                             recorded_at FROM transitions ORDER BY subscription_id, id""",
    "entries": """SELECT customers.id, kind, debit, credit, amount, free_after FROM entries
                    JOIN customers USING (account_id) ORDER BY customers.id, entries.id""",
    "customers": "SELECT id, rank, deleted_at, deleted_event_id FROM customers ORDER BY id",
}


def payload_of(event: Event) -> bytes:
    return json.dumps(event).encode()


async def delivery_of(book: Book, event: Event) -> Delivery:
    """The event as one that may have no effect."""
    read = await delivery.read(book, payload_of(event))
    assert no_effect.may_batch(book, read)
    return read


async def all_rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    names = [row["id"] for row in await database.fetch("SELECT id FROM customers")]
    return {
        name: rows(await database.fetch(query, *([names] if "$1" in query else [])))
        for name, query in TABLES.items()
    }


def known(n: int, at: int, **more: Any) -> Event:
    """An update of subscription n, so many seconds after its first."""
    kind = "created" if at == 0 else "updated"
    return make_subscription_event(
        f"evt_{n}_{at}",
        kind,
        NOW + timedelta(seconds=at),
        subscription=f"sub_{n}",
        customer=f"cus_{n}",
        **more,
    )


async def begun(book: Book, subscriptions: int, events: int = 1) -> None:
    for n in range(subscriptions):
        for at in range(events):
            await receive(book, payload_of(known(n, at)), livemode=False)


async def together(book: Book, events: Sequence[Event]) -> list[str]:
    groups = WebhookGroups(book)
    received = await asyncio.gather(
        *(receive(book, payload_of(event), livemode=False, groups=groups) for event in events)
    )
    await groups.close()
    return [str(one.outcome) for one in received]


async def one_group(
    alone: Book, grouped: Book, events: Sequence[Event]
) -> tuple[list[str], list[Ruling | None]]:
    """The events one after the other in one book, and as one group in the other."""
    verdicts, deliveries = [], []
    for event in events:
        found = await delivery.read(grouped, payload_of(event))
        if no_effect.may_batch(grouped, found):
            deliveries.append(found)
        else:
            await receive(grouped, payload_of(event), livemode=False)
        verdicts.append(str((await take_in_with_effects(alone, found)).ruling.verdict))
    rulings = await no_effect.take(grouped, deliveries)
    for one, ruling in zip(deliveries, rulings, strict=True):
        if ruling is None:
            await take_in_with_effects(grouped, one)
    return verdicts, rulings


# No two of one customer in a group, so that both books take each life in the same order.
@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(
    lives=st.lists(happenings, min_size=1, max_size=4),
    shuffle=st.randoms(use_true_random=False),
    late=st.booleans(),
    copies=st.integers(0, 3),
)
async def test_a_group_leaves_the_rows_that_its_events_leave_alone(
    two_books, lives, shuffle, late, copies
) -> None:
    alone, grouped = two_books
    number = next(NUMBERS)
    told = [life_of(f"g{number}x{at}", drawn) for at, drawn in enumerate(lives)]
    for events in told:
        events += [shuffle.choice(events) for _ in range(copies)]
        if late:
            shuffle.shuffle(events)
    for turn in range(max(map(len, told))):
        batch = [events[turn] for events in told if turn < len(events)]
        batch.append(make_event(f"o{number}_{turn}", "charge.succeeded", NOW, {"id": "x"}))
        await one_group(alone, grouped, batch)
    assert await all_rows(grouped.database) == await all_rows(alone.database)
    assert await differences(grouped.database) == []


@pytest.fixture
async def two_books(book):
    async with new_server() as other, open_database(other.application_url) as database:
        await clock.stand(database, NOW)
        yield Book(database), book


async def test_what_a_billing_system_rains_is_written_by_groups(two_books) -> None:
    alone, grouped = two_books
    for one in two_books:
        await begun(one, 10)
    for at in (1, 2, 3):
        verdicts, rulings = await one_group(alone, grouped, [known(n, at) for n in range(10)])
        assert verdicts == ["applied"] * 10
        assert None not in rulings  # else this test tells nothing of groups
    assert await all_rows(grouped.database) == await all_rows(alone.database)


@settings(max_examples=10, phases=(Phase.explicit, Phase.generate))
@given(
    lives=st.lists(happenings, min_size=2, max_size=5),
    copies=st.integers(0, 2),
    shuffle=st.randoms(use_true_random=False),
)
async def test_whoever_comes_at_once_and_in_any_order_the_end_is_the_same(
    two_books, lives, copies, shuffle
) -> None:
    """As when each came alone, in Stripe's order; copies are told as such."""
    alone, grouped = two_books
    number = next(NUMBERS)
    events = [
        event for at, drawn in enumerate(lives) for event in life_of(f"c{number}x{at}", drawn)
    ]
    sent = events * (1 + copies)
    shuffle.shuffle(sent)  # before anything is written: it may end the example
    for event in events:
        await receive(alone, payload_of(event), livemode=False)
    outcomes = Counter(await together(grouped, sent))
    assert outcomes["duplicate"] == len(events) * copies
    assert outcomes["queued"] == 0
    ends = [await all_rows(one.database) for one in two_books]
    for table in ("facts", "customers"):
        assert ends[0][table] == ends[1][table]
    for one, other in zip(ends[0]["subscriptions"], ends[1]["subscriptions"], strict=True):
        assert {**one, "updated_at": None} == {**other, "updated_at": None}
    assert await differences(grouped.database) == []


async def test_fifty_deliveries_of_one_event_at_once_are_one(database, book) -> None:
    await begun(book, 1, 2)
    outcomes = Counter(await together(book, [known(0, 5)] * 50))
    assert outcomes == {"applied": 1, "duplicate": 49}
    row = await database.fetchrow("SELECT * FROM events WHERE id = 'evt_0_5'")
    assert (row["delivery_count"], row["attempt_count"], row["verdict"]) == (50, 1, "applied")
    told = "SELECT verdict, count(*) FROM deliveries WHERE event_id = 'evt_0_5' GROUP BY 1"
    assert dict(map(tuple, await database.fetch(told))) == {"applied": 1, "duplicate": 49}


async def test_what_is_of_the_other_mode_is_refused_also_among_many(database, book) -> None:
    await begun(book, 20)
    theirs = [{**known(n, 1), "livemode": True} for n in range(10)]
    ours = [known(n, 1) for n in range(10, 20)]
    assert await together(book, [*theirs, *ours]) == ["refused"] * 10 + ["applied"] * 10
    of_theirs = "SELECT count(*) FROM facts WHERE event_id = ANY($1::text[])"
    assert await database.fetchval(of_theirs, [event["id"] for event in theirs]) == 0


async def test_a_busy_customer_does_not_hold_up_the_others(server, book) -> None:
    await begun(book, 3)
    other = await asyncpg.connect(server.application_url)
    try:
        await other.execute("SELECT pg_advisory_lock(hashtextextended('cus_1', $1))", CUSTOMER_LOCK)
        rulings = await no_effect.take(
            book, [await delivery_of(book, known(n, 1)) for n in range(3)]
        )
    finally:
        await other.close()
    assert [ruling is not None for ruling in rulings] == [True, False, True]


async def test_an_event_that_another_is_at_work_on_is_left_to_it(database, book) -> None:
    """Who waited for it there, holding customers, could wait for one that waits for them."""
    await begun(book, 2)
    first, second = [await delivery_of(book, known(n, 1)) for n in range(2)]
    async with database.transaction():
        assert await inbox.insert(database, first.envelope, first.payload)
        task = asyncio.create_task(
            no_effect.take(book, [first, second]), context=contextvars.Context()
        )
        rulings = await task
    assert [ruling is not None for ruling in rulings] == [False, True]


@pytest.mark.parametrize(
    "change",
    [{"status": "past_due"}, {"price": "price_enterprise_monthly"}, {"price": "price_unknown"}],
)
async def test_what_moves_something_leaves_the_group(book, change) -> None:
    await begun(book, 2, 2)
    events = [known(0, 2), known(1, 2, **change)]
    rulings = await no_effect.take(book, [await delivery_of(book, event) for event in events])
    assert rulings == [Ruling(Verdict.APPLIED, "updated leaves it active"), None]


async def test_two_subscriptions_of_one_account_are_not_written_together(book) -> None:
    await begun(book, 2, 2)
    await put(book, "ada", "cus_0", None, "test")
    await put(book, "ada", "cus_1", None, "test")
    rulings = await no_effect.take(book, [await delivery_of(book, known(n, 2)) for n in range(2)])
    assert [ruling is not None for ruling in rulings] == [True, False]


async def test_a_group_that_the_database_refuses_is_taken_in_one_by_one(
    server, database, book
) -> None:
    await begun(book, 4)
    owner = await asyncpg.connect(server.owner_url)
    try:
        await owner.execute("ALTER TABLE facts ADD CHECK (event_id <> 'evt_2_1')")
    finally:
        await owner.close()
    outcomes = await together(book, [known(n, 1) for n in range(4)])
    assert outcomes == ["applied", "applied", "queued", "applied"]
    assert await database.fetchval("SELECT count(*) FROM events") == 8


async def test_a_lone_delivery_is_a_group_of_one(two_books) -> None:
    """With and without the queue it leaves the rows that it leaves by the way of effects."""
    alone, grouped = two_books
    groups = WebhookGroups(grouped)
    await begun(alone, 1)
    await begun(grouped, 1)
    ruled_at_sight = make_event("evt_x", "charge.succeeded", NOW, {"id": "x"})
    unreadable = make_event("evt_y", "customer.subscription.updated", NOW, {"id": 7})
    for at, event in enumerate([known(0, 1), known(0, 2), ruled_at_sight, unreadable]):
        with_queue = groups if at % 2 else None
        received = await receive(grouped, payload_of(event), livemode=False, groups=with_queue)
        read = await delivery.read(alone, payload_of(event))
        assert (await take_in_with_effects(alone, read)).ruling.verdict == received.outcome
    assert await all_rows(grouped.database) == await all_rows(alone.database)


async def test_events_ruled_at_sight_are_one_statement_and_wait_for_nobody(database, book) -> None:
    events = [make_event(f"evt_{n}", "charge.succeeded", NOW, {"id": "x"}) for n in range(3)]
    group = [await delivery_of(book, event) for event in events]
    async with database.transaction():
        assert await inbox.insert(database, group[1].envelope, group[1].payload)
        task = asyncio.create_task(no_effect.take(book, group), context=contextvars.Context())
        assert [ruling is not None for ruling in await task] == [True, False, True]
    assert await no_effect.take(book, group) == [None, None, None]
    assert await database.fetchval("SELECT count(*) FROM deliveries") == 2


def die_at(point: int) -> None:
    """Kill this process before (odd) or after (even) its n-th statement."""
    passed = 0

    def wrapped(method: Any) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            nonlocal passed
            passed += 1
            if passed == point:
                os.kill(os.getpid(), signal.SIGKILL)
            result = await method(*args, **options)
            passed += 1
            if passed == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        setattr(asyncpg.Connection, name, wrapped(getattr(asyncpg.Connection, name)))


async def _child(url: str, events: Sequence[Event], point: int, told: int) -> None:
    async with open_database(url, 4) as database:
        book = Book(database)
        await book.catalogues.present(database)
        groups = WebhookGroups(book)
        die_at(point)

        async def deliver(event: Event) -> None:
            received = await receive(book, payload_of(event), livemode=False, groups=groups)
            os.write(told, f"{received.event_id}\n".encode())  # what its sender knows

        await asyncio.gather(*map(deliver, events))


def _killed(url: str, events: Sequence[Event], point: int) -> tuple[bool, list[str]]:
    """Deliver them at once in a child that dies at this point; what was answered until then."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside xdist's thread
        pid = os.fork()
    if pid == 0:
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            asyncio.run(_child(url, events, point, writing))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        answered = told.read().split()
    _, ended = os.waitpid(pid, 0)
    return os.WIFSIGNALED(ended), answered


def test_whenever_a_group_dies_nothing_that_was_answered_is_lost(server) -> None:
    url = server.application_url
    with asyncio.Runner() as runner:
        database = Database(url, 2)
        runner.run(database.open())
        book = Book(database)
        runner.run(clock.stand(database, NOW))
        runner.run(begun(book, 6))
        stored = "SELECT count(*) FROM deliveries WHERE event_id = ANY($1) AND verdict = 'applied'"
        for point in range(1, 60):
            events = [known(n, point) for n in range(6)]
            names = [event["id"] for event in events]
            dead, answered = _killed(url, events, point)
            assert runner.run(database.fetchval(stored, answered)) == len(answered)
            outcomes = runner.run(together(book, events))  # Stripe sends again
            assert outcomes.count("applied") + runner.run(
                database.fetchval(
                    "SELECT count(*) FROM deliveries WHERE event_id = ANY($1)"
                    " AND verdict = 'duplicate'",
                    names,
                )
            ) == len(names)
            assert runner.run(database.fetchval(stored, names)) == len(names)
            if not dead:
                break
        assert not dead
        assert point > 8, "the hook counted no statements"
        assert len(answered) == len(names)
        assert runner.run(differences(database)) == []
        runner.run(database.close())
