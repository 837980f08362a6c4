"""What spends through the Python call: the floor, this product, and pgledger in two shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.book import Book
from app.errors import TallybookError
from app.infrastructure.db import Database, opened
from app.spending.orders import SpendOrder, Spent
from app.spending.queue import SpendQueue
from ops.benchmarks import seed
from ops.benchmarks.floor import CONNECTIONS
from ops.benchmarks.server import Server, make_ledger
from ops.benchmarks.spends import order_of

Spend = Callable[[int], Awaitable[object]]
Batch = Callable[[Sequence[int]], Awaitable[object]]

# The least that is durable: one balance and one row. No key, no lots, nothing refused.
FLOOR_SCHEMA: Final = """
CREATE TABLE floor_accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)
    WITH (fillfactor = 80);
CREATE TABLE floor_rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL, amount bigint NOT NULL, balance_after bigint NOT NULL,
    at timestamptz NOT NULL);
"""
FLOOR_SEED: Final = "INSERT INTO floor_accounts SELECT n, 1e12 FROM generate_series(1, {}) AS n"
FLOOR_ONE: Final = """
WITH account AS (UPDATE floor_accounts SET balance = balance - 1 WHERE id = $1 RETURNING balance)
INSERT INTO floor_rows (account_id, amount, balance_after, at)
SELECT $1, 1, balance, clock_timestamp() FROM account RETURNING id, balance_after
"""
FLOOR_MANY: Final = """
WITH wanted AS MATERIALIZED (SELECT account_id, count(*) AS total
                               FROM unnest($1::bigint[]) AS account_id
                              GROUP BY account_id ORDER BY account_id), -- no deadlock
account AS (UPDATE floor_accounts SET balance = balance - total FROM wanted
             WHERE id = account_id RETURNING id, balance, total)
INSERT INTO floor_rows (account_id, amount, balance_after, at)
SELECT id, 1, balance + total - number, clock_timestamp()
  FROM account, generate_series(1, total) AS number RETURNING id, account_id, balance_after
"""

# As its pgledger_create_account writes them, all by one statement.
PGLEDGER_SEED: Final = """
INSERT INTO pgledger_accounts (name, currency, allow_negative_balance, allow_positive_balance,
                               created_at, updated_at)
SELECT name, 'CREDIT', true, true, now(), now()
  FROM (SELECT 'house' AS name
         UNION ALL SELECT 'user-' || n FROM generate_series(1, {0}) AS n
         UNION ALL SELECT 'sink-' || n FROM generate_series(1, {0}) AS n) AS named
"""
PGLEDGER_ONE: Final = "SELECT * FROM pgledger_create_transfer($1::text, $2::text, 1::numeric)"
PGLEDGER_MANY: Final = """
SELECT * FROM pgledger_create_transfers(
    transfer_requests => array(SELECT (source, target, 1)::transfer_request
                                 FROM unnest($1::text[], $2::text[]) AS asked (source, target)),
    event_at => now())
"""


@dataclass(frozen=True)
class Subject:
    """One way to spend: a call that is a transaction of its own, one that is grouped, a batch."""

    name: str
    alone: Spend | None
    grouped: Spend
    batch: Batch


class OthersQueue(SpendQueue):
    """The product's queue with another ledger behind it: the same groups, nothing else of ours."""

    def __init__(
        self, database: Database, write: Callable[[Sequence[int]], Awaitable[object]]
    ) -> None:
        super().__init__(Book(database))
        self._write = write

    async def _plain(self, orders: Sequence[SpendOrder]) -> list[Spent | None]:
        await self._write([_number(order) for order in orders])
        return [
            Spent(
                journal_id=0, account_id=order.account_id, amount=1, balance=0, available=0,
                entry_ids=(), replayed=False,
            )
            for order in orders
        ]  # fmt: skip


def _number(order: SpendOrder) -> int:
    return int(order.account_id.removeprefix("bench-"))


def _subject(name: str, queue: SpendQueue, alone: Spend | None) -> Subject:
    async def grouped(account: int) -> None:
        _raised(await queue.spend(order_of(account)))

    async def batch(accounts: Sequence[int]) -> None:
        for one in await queue.batch([order_of(account) for account in accounts]):
            _raised(one)

    return Subject(name, alone, grouped, batch)


def _raised(outcome: Spent | TallybookError) -> None:
    if isinstance(outcome, TallybookError):
        raise outcome


@asynccontextmanager
async def subjects(
    server: Server, pgledger: Path | None, accounts: int
) -> AsyncIterator[list[Subject]]:
    """All of them, each with a database of its own in the one server; the floor is the first."""
    async with (
        _floor(server, accounts) as floor,
        _product(server, accounts) as product,
    ):
        if pgledger is None:
            yield [floor, product]
            return
        async with _pgledger(server, pgledger, accounts) as peers:
            yield [floor, product, *peers]


@asynccontextmanager
async def _floor(server: Server, accounts: int) -> AsyncIterator[Subject]:
    ledger = await make_ledger(server, "peers_floor")
    async with opened(ledger.superuser_url, CONNECTIONS) as database:
        await database.execute(FLOOR_SCHEMA)
        await database.execute(FLOOR_SEED.format(accounts))
        await _settle(database)

        async def write(numbers: Sequence[int]) -> None:
            await database.fetch(FLOOR_MANY, numbers)

        async def alone(account: int) -> None:
            await database.fetchrow(FLOOR_ONE, account)

        queue = OthersQueue(database, write)
        yield _subject("the least that is durable", queue, alone)
        await queue.close()


@asynccontextmanager
async def _product(server: Server, accounts: int) -> AsyncIterator[Subject]:
    ledger = await make_ledger(server, "peers_product")
    await seed.seed(ledger, accounts, accounts)
    async with opened(ledger.application_url, CONNECTIONS) as database:
        queue = SpendQueue(Book(database))
        # It groups by itself what comes at once: there is no way past that.
        yield _subject("Tallybook", queue, None)
        await queue.close()


@asynccontextmanager
async def _pgledger(server: Server, folder: Path, accounts: int) -> AsyncIterator[list[Subject]]:
    ledger = await make_ledger(server, "peers_pgledger")
    async with opened(ledger.superuser_url, CONNECTIONS) as database:
        for script in _scripts(folder):
            await database.execute(script)
        await database.execute(PGLEDGER_SEED.format(accounts))
        await _settle(database)
        rows = await database.fetch("SELECT name, id FROM pgledger_accounts")
        ids = {row["name"]: row["id"] for row in rows}

        def target(shape: str, account: int) -> str:
            return ids["house"] if shape == "house" else ids[f"sink-{account}"]

        def made(shape: str) -> tuple[Spend, OthersQueue]:
            async def alone(account: int) -> None:
                await database.fetchrow(
                    PGLEDGER_ONE, ids[f"user-{account}"], target(shape, account)
                )

            async def write(numbers: Sequence[int]) -> None:
                sources = [ids[f"user-{number}"] for number in numbers]
                targets = [target(shape, number) for number in numbers]
                await database.fetch(PGLEDGER_MANY, sources, targets)

            return alone, OthersQueue(database, write)

        peers, queues = [], []
        for shape, told in (("house", "one house account"), ("sink", "a sink for each user")):
            alone, queue = made(shape)
            peers.append(_subject(f"pgledger, {told}", queue, alone))
            queues.append(queue)
        yield peers
        for queue in queues:
            await queue.close()


def _scripts(folder: Path) -> list[str]:
    """Its ids come of a vendored library, which goes first."""
    files = (*sorted(folder.glob("vendor/*/*.sql")), folder / "pgledger.sql")
    return [file.read_text() for file in files]


async def _settle(database: Database) -> None:
    await database.execute("VACUUM (ANALYZE)")
    await database.execute("CHECKPOINT")
