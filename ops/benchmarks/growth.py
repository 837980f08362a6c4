"""What each call costs as a book grows: entries, lots of one account, subscriptions.

A call is flat if it takes at most GROWTH_MAX times as long in the large book as in the small one.
The growth of days stands in ``grants``, of an inbox in ``webhooks``, of deep pages in ``reads``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from itertools import count
from statistics import median
from typing import Final

import asyncpg

from app.accounts.view import view
from app.audit import entries
from app.audit.entries import EntryQuery, OfAccount
from app.audit.explain import explain
from app.audit.horizon import Horizons
from app.book import Book
from app.infrastructure.db import opened
from app.ledger.idempotency import RequestKey, key_of
from app.spending import hold
from app.spending.keyed import Order
from app.usage.fold import fold
from app.usage.report import UsageQuery, usage
from app.webhooks.receive import receive
from ops.benchmarks import seed, webhooks
from ops.benchmarks.figures import Figure, below
from ops.benchmarks.seed import TIMEOUT_S
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.sizes import Sizes
from ops.benchmarks.spends import call_under_test, order_of
from ops.benchmarks.webhook_load import BEGAN, Bodies

GROWTH_MAX: Final = 2.0
PAGE: Final = 50
HISTORIES: Final = 10  # accounts that the entries are of: each has a full page of a lot at least
SMALL_ENTRIES: Final = 10_000
SMALL_SUBSCRIPTIONS: Final = 1_000
KNOWN: Final = 100  # customers whose events come, in both books
HOLD_S: Final = 60
FOLD_S_MAX: Final = 600.0

Call = Callable[[Book, int], Awaitable[object]]

# More lots of account 1: of one credit each that is there, or of one that was spent.
_LOTS: Final = """
INSERT INTO lots (account_id, source, priority, granted_at, expires_at, granted, free, live)
SELECT 1, 'promotional', 50, timestamptz '2026-01-01Z' + n * interval '1 ms', '9999-12-31Z', 1,
       $2::int, $2::int > 0 FROM generate_series(1, $1::bigint) AS n
"""
# The grant of each.
_ENTRIES_OF_LOTS: Final = """
WITH lot AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM lots
              WHERE account_id = 1 AND id > $1),
journal AS (INSERT INTO journals (kind, source, actor, effective_at, recorded_at)
            VALUES ('grant', 'api', 'bench', '2026-01-02Z', '2026-01-02Z') RETURNING id)
INSERT INTO entries (journal_id, account_id, lot_id, amount, free_after, held_after, debt_after,
                     effective_at, recorded_at, kind, debit, credit)
SELECT journal.id, 1, lot.id, 1, $2::bigint + place, 0, 0, '2026-01-02Z', '2026-01-02Z', 'grant',
       'issued', 'free' FROM lot, journal
"""
# Subscription 1 with its customer, account, first event and fact, so many times.
_CLONES: Final = """
INSERT INTO {table} OVERRIDING SYSTEM VALUE
SELECT made.*
  FROM {table} AS one, generate_series(1, $1::bigint) AS n, LATERAL jsonb_populate_record(
           one, replace(to_jsonb(one)::text, 'first_1"', 'first_seed_' || n || '"')::jsonb
                || replace(jsonb_build_object({columns})::text, 'NUMBER', n::text)::jsonb) AS made
 WHERE one.{which}
"""
_CLONED: Final = (
    ("events", "id = 'evt_first_1'",
     "'number', 1000000 + n, 'subscription_id', 'sub_seed_NUMBER', "
     "'customer_id', 'cus_seed_NUMBER'"),
    ("accounts", "id = (SELECT account_id FROM customers WHERE id = 'cus_bench_1')",
     "'id', 1000000 + n, 'external_id', NULL"),
    ("customers", "id = 'cus_bench_1'", "'id', 'cus_seed_NUMBER', 'account_id', 1000000 + n"),
    ("subscriptions", "id = 'sub_bench_1'",
     "'id', 'sub_seed_NUMBER', 'customer_id', 'cus_seed_NUMBER', 'account_id', 1000000 + n"),
    ("facts", "event_id = 'evt_first_1'", "'subscription_id', 'sub_seed_NUMBER'"),
)  # fmt: skip


async def measure(server: Server, sizes: Sizes) -> list[Figure]:
    """Each call in a small book and in a large one, in turn."""
    return [
        *await _by_entries(server, sizes),
        *await _by_lots(server, sizes, "live", 1),
        *await _by_lots(server, sizes, "spent", 0),
        *await _by_subscriptions(server, sizes),
    ]


async def _by_entries(server: Server, sizes: Sizes) -> list[Figure]:
    small = await make_ledger(server, "growth_entries_small")
    large = await make_ledger(server, "growth_entries_large")
    await seed.seed(small, HISTORIES, SMALL_ENTRIES)
    await seed.seed(large, HISTORIES, sizes.growth_entries)
    told = f"{SMALL_ENTRIES} to {sizes.growth_entries} entries"
    return await _compare(small, large, _calls(HISTORIES), told, sizes)


async def _by_lots(server: Server, sizes: Sizes, name: str, free: int) -> list[Figure]:
    small = await make_ledger(server, f"growth_lots_{name}_one")
    large = await make_ledger(server, f"growth_lots_{name}_many")
    for ledger in (small, large):
        await seed.seed(ledger, 1, 1)
    await _add_lots(large, sizes.growth_lots, free)
    told = f"1 to {sizes.growth_lots} {name} lots of its account"
    return await _compare(small, large, _calls(1), told, sizes)


async def _by_subscriptions(server: Server, sizes: Sizes) -> list[Figure]:
    small = await make_ledger(server, "growth_subscriptions_small")
    large = await make_ledger(server, "growth_subscriptions_large")
    for ledger, subscriptions in (
        (small, SMALL_SUBSCRIPTIONS), (large, sizes.growth_subscriptions)
    ):  # fmt: skip
        await webhooks.subscribe(ledger, KNOWN)
        await _clone(ledger, subscriptions - KNOWN)
    bodies, numbers = Bodies(), count(1)

    async def webhook(book: Book, turn: int) -> object:
        number = next(numbers)
        event = f"evt_growth_{number}"
        body = bodies.update(turn % KNOWN + 1, event, int(BEGAN.timestamp()) + number)
        return await receive(book, body, livemode=False)

    async def account(book: Book, turn: int) -> object:
        return await view(book, f"cus_bench_{turn % KNOWN + 1}")

    told = f"{SMALL_SUBSCRIPTIONS} to {sizes.growth_subscriptions} subscriptions"
    calls = {"a webhook": webhook, "an account by its customer": account}
    return await _compare(small, large, calls, told, sizes)


def _calls(accounts: int) -> Mapping[str, Call]:
    """The calls of a ledger whose accounts are named bench-1 and so on."""
    horizons = Horizons()

    def name(turn: int) -> str:
        return f"bench-{turn % accounts + 1}"

    async def spend(book: Book, turn: int) -> object:
        return await call_under_test(book)(order_of(turn % accounts + 1))

    async def place(book: Book, turn: int) -> object:
        done = await hold.place(book, name(turn), 1, HOLD_S, _order())
        number = await book.database.fetchval(
            "SELECT hold_id FROM entries WHERE journal_id = $1 LIMIT 1", done.journal_id
        )
        return await hold.release(book, number, _order())

    async def account(book: Book, turn: int) -> object:
        return await view(book, name(turn))

    async def explained(book: Book, turn: int) -> object:
        return await explain(book.database, horizons, name(turn), None)

    async def page(book: Book, turn: int) -> object:
        query = EntryQuery(of_account=OfAccount(name(turn), (turn % accounts + 1,)))
        return await entries.page(book.database, horizons, query, None, PAGE)

    async def used(book: Book, _turn: int) -> object:
        return await usage(book.database, UsageQuery(), None, PAGE)

    return {
        "a spend": spend,
        "a hold and its release": place,
        "an account": account,
        "explain": explained,
        f"a page of {PAGE} entries": page,
        "usage by day and tier": used,
    }


def _order() -> Order:
    key = secrets.token_hex(16)
    return Order(actor="bench", key=RequestKey(key_of(key, b""), sha256(key.encode()).digest()))


async def _compare(
    small: Ledger, large: Ledger, calls: Mapping[str, Call], told: str, sizes: Sizes
) -> list[Figure]:
    figures = []
    async with (
        opened(small.application_url) as one,
        opened(large.application_url) as other,
    ):
        books = Book(one), Book(other)
        for book in books:  # as the tick does: use that is older is told by its sums
            await fold(book.database, book.catalogues, FOLD_S_MAX)
        for name, call in calls.items():
            for book in books:
                await _ms(call, book, sizes.reads)
            rounds = [
                (await _ms(call, books[0], sizes.reads), await _ms(call, books[1], sizes.reads))
                for _ in range(sizes.rounds)
            ]
            figures.append(below(f"{name}, {told}", "ms", GROWTH_MAX, rounds))
    return figures


async def _ms(call: Call, book: Book, times: int) -> float:
    """The median of so many calls, one after the other."""
    taken = []
    for turn in range(times):
        started = time.perf_counter()
        await call(book, turn)
        taken.append((time.perf_counter() - started) * 1_000)
    return median(taken)


async def _add_lots(ledger: Ledger, lots: int, free: int) -> None:
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=TIMEOUT_S)
    try:
        last = await connection.fetchval("SELECT max(id) FROM lots")
        before = await connection.fetchval("SELECT free FROM accounts")
        await connection.execute(_LOTS, lots, free)
        await connection.execute(_ENTRIES_OF_LOTS, last, before)
        await connection.execute("UPDATE accounts SET free = free + $1", lots * free)
        await seed.settle(connection)
    finally:
        await connection.close()


async def _clone(ledger: Ledger, subscriptions: int) -> None:
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=TIMEOUT_S)
    try:
        await connection.execute("SET session_replication_role = replica")
        for table, which, columns in _CLONED:
            statement = _CLONES.format(table=table, which=which, columns=columns)
            await connection.execute(statement, subscriptions)
        await connection.execute("SET session_replication_role = origin")
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
