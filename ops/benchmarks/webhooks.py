"""Webhooks: over HTTP beside a bare handler, and one event's cost as inbox and history grow."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Final

import asyncpg
import structlog

from app.book import Book
from app.infrastructure.db import Database, opened
from app.webhooks.receive import receive
from ops.benchmarks import served, wrk
from ops.benchmarks.figures import Figure, at_least, below, plain
from ops.benchmarks.floor import CONNECTIONS
from ops.benchmarks.seed import TIMEOUT_S
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.sizes import Sizes
from ops.benchmarks.webhook_load import BEGAN, IGNORED, UPDATED, Bodies, updates

BOUND: Final = 0.6
IGNORED_BOUND: Final = 0.9
GROWTH_MAX: Final = 2.0
ROUND_APART_S: Final = 1_000_000  # of the events' own time: no two rounds share a second
LONG: Final = 1_000_000_000  # the customer whose subscription has a history

# Events of other subscriptions, twenty of each, as the service leaves them.
_SEED: Final = """
WITH new AS (
    INSERT INTO events (id, type, api_version, livemode, created_at, received_at, payload,
                        verdict, verdict_reason, attempt_count, subscription_id, customer_id)
    SELECT 'evt_seed_' || n, 'customer.subscription.updated', '2026-08-26.dahlia', false,
           timestamptz '2026-01-01Z' + n * interval '1 s',
           timestamptz '2026-01-01Z' + n * interval '1 s', convert_to(repeat('x', 200), 'UTF8'),
           'applied', 'updated leaves it active', 1, 'sub_seed_' || n / 20, 'cus_seed_' || n / 20
      FROM generate_series($1::bigint, $2::bigint) AS n
    RETURNING id, subscription_id, customer_id, created_at
)
INSERT INTO facts (event_id, subscription_id, occurred_at, body)
SELECT id, subscription_id, created_at, jsonb_build_object(
           'event_id', id, 'subscription_id', subscription_id, 'customer_id', customer_id,
           'kind', 'updated', 'occurred_at', created_at, 'status', 'active',
           'prices', jsonb_build_array('price_pro_monthly'))
  FROM new
"""
_SEED_ROWS: Final = 100_000  # of one statement

Event = Callable[[], bytes]


async def measure(server: Server, sizes: Sizes) -> list[Figure]:
    """Throughput first, then the two growths."""
    ledger = await make_ledger(server, "ledger_of_webhooks")
    await subscribe(ledger, sizes.webhook_customers)
    throughput = await _throughput(server, ledger, sizes) if wrk.is_here() else []
    return [*throughput, *await _growth(server, sizes)]


async def subscribe(ledger: Ledger, customers: int) -> None:
    """Let each customer's first event open its account."""
    # A line for each event is the service's own to write, not this process's.
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    bodies = Bodies()
    left = iter(range(1, customers + 1))
    async with opened(ledger.application_url, CONNECTIONS) as database:
        book = Book(database)

        async def work() -> None:
            for customer in left:
                body = bodies.update(customer, f"evt_first_{customer}", _unix(0))
                await receive(book, body, livemode=False)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


async def _throughput(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    bare = (sys.executable, "-m", "ops.benchmarks.bare_webhook")
    figures = []
    async with (
        served.child(server, ledger, "bare-webhook", bare) as bare_port,
        served.child(server, ledger, "serve-webhook", served.TALLYBOOK) as port,
    ):
        parts = count(1)
        for kind, name, bound in (
            (UPDATED, "webhooks", BOUND),
            (IGNORED, "ignored webhooks", IGNORED_BOUND),
        ):
            rounds = []
            for _ in range(sizes.rounds):
                floor = await _rate(bare_port, sizes, next(parts), kind)
                rounds.append((floor, await _rate(port, sizes, next(parts), kind)))
            told = (
                f"{name} by HTTP, {sizes.callers} connections, {sizes.webhook_customers} customers"
            )
            figures.append(at_least(told, "events/s", bound, rounds))
    return figures


async def _rate(port: int, sizes: Sizes, part: int, kind: str) -> float:
    first = _unix(part * ROUND_APART_S)
    requests = updates(served.SECRET, sizes.webhook_customers, first, kind)
    return (await wrk.send(port, requests, sizes)).rate


async def _growth(server: Server, sizes: Sizes) -> list[Figure]:
    small = await make_ledger(server, "inbox_small")
    large = await make_ledger(server, "inbox_large")
    for ledger in (small, large):
        await subscribe(ledger, sizes.reads)
    started = time.monotonic()
    await _seed(large, sizes.inbox_events)
    seeded = sizes.inbox_events / (time.monotonic() - started)
    figures = [plain(f"seeding {sizes.inbox_events} events, facts and all", seeded, "events/s")]
    async with opened(small.application_url) as one, opened(large.application_url) as other:
        few, many = _any_of(sizes.reads), _any_of(sizes.reads)
        name = f"an event beside {sizes.inbox_events} others in the inbox"
        figures.append(await _compare(name, sizes, (one, few), (other, many)))
        long = _of(LONG, 10 * ROUND_APART_S)
        await _send(one, long, sizes.history_events)
        name = f"an event of a subscription with {sizes.history_events} others"
        figures.append(await _compare(name, sizes, (one, few), (one, long)))
    return figures


async def _compare(
    name: str, sizes: Sizes, floor: tuple[Database, Event], value: tuple[Database, Event]
) -> Figure:
    await _send(*floor, sizes.reads)
    await _send(*value, sizes.reads)
    rounds = [
        (await _send(*floor, sizes.reads), await _send(*value, sizes.reads))
        for _ in range(sizes.rounds)
    ]
    return below(name, "ms", GROWTH_MAX, rounds)


async def _send(database: Database, event: Event, times: int) -> float:
    """The median time of so many, one after the other; ms."""
    book = Book(database)
    taken = []
    for _ in range(times):
        body = event()
        started = time.perf_counter()
        await receive(book, body, livemode=False)
        taken.append((time.perf_counter() - started) * 1_000)
    return median(taken)


def _any_of(customers: int) -> Event:
    """The next event of any of them."""
    bodies, times = Bodies(), count(1)

    def event() -> bytes:
        number = next(times)
        customer = random.randint(1, customers)  # noqa: S311 - it spreads the load
        return bodies.update(customer, f"evt_any_{number}", _unix(number))

    return event


def _of(customer: int, seconds: int) -> Event:
    """The next event of this one."""
    bodies, times = Bodies(), count(1)

    def event() -> bytes:
        number = next(times)
        return bodies.update(customer, f"evt_of_{customer}_{number}", _unix(seconds + number))

    return event


async def _seed(ledger: Ledger, events: int) -> None:
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=TIMEOUT_S)
    try:
        for first in range(1, events + 1, _SEED_ROWS):
            await connection.execute(_SEED, first, min(first + _SEED_ROWS - 1, events))
        await connection.execute("VACUUM (ANALYZE) events, facts")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _unix(seconds: int) -> int:
    return int(BEGAN.timestamp()) + seconds
