"""A ring of writers in processes of their own, under a reader that checks while they write."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.accounts.put import put
from app.book import Book
from app.errors import TallybookError
from app.infrastructure.db import Database
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import RequestKey, request_key
from app.reversals import journal
from app.reversals.record import ReversalOrder
from app.spending import corrections, hold
from app.spending.keyed import Order
from app.spending.queue import SpendQueue
from app.spending.spend import SpendOrder
from tests.invariants import differences

ACCOUNTS = 20
PROCESSES = 2
TASKS = 6
SECONDS = float(os.environ.get("TALLYBOOK_RING_SECONDS", "8"))
ROOT = Path(__file__).parent.parent.parent

# What must hold in every snapshot, however many writers are under way; each finds what is wrong.
ALWAYS = {
    "sides are the sum of entries": """
        SELECT accounts.id FROM accounts JOIN (
            SELECT account_id,
                   sum(amount * ((credit = 'free')::int - (debit = 'free')::int)) AS free,
                   sum(amount * ((credit = 'held')::int - (debit = 'held')::int)) AS held,
                   sum(amount * ((debit = 'debt')::int - (credit = 'debt')::int)) AS debt
              FROM entries GROUP BY account_id) AS summed ON account_id = accounts.id
         WHERE (accounts.free, accounts.held, accounts.debt)
               IS DISTINCT FROM (summed.free, summed.held, summed.debt)""",
    "lots sum to sides": """
        SELECT accounts.id FROM accounts JOIN (
            SELECT account_id, sum(free) AS free, sum(held) AS held FROM lots GROUP BY account_id
        ) AS summed ON account_id = accounts.id
         WHERE (accounts.free, accounts.held) IS DISTINCT FROM (summed.free, summed.held)""",
    "nothing is negative": """
        SELECT account_id FROM entries WHERE least(free_after, held_after, debt_after) < 0
        UNION ALL SELECT id FROM accounts WHERE least(free, held, debt) < 0
        UNION ALL SELECT account_id FROM lots WHERE least(free, held) < 0""",
    "debt never stands beside free credits": """
        SELECT id FROM accounts WHERE free > 0 AND debt > 0""",
    "what holds hold is the held side": """
        SELECT accounts.id FROM accounts LEFT JOIN (
            SELECT account_id, sum(amount) AS held FROM holds WHERE state = 'held'
             GROUP BY account_id) AS summed ON account_id = accounts.id
         WHERE accounts.held <> coalesce(summed.held, 0)""",
    "the last entry's balance is the account's": """
        SELECT accounts.id FROM accounts JOIN LATERAL (
            SELECT free_after, held_after, debt_after FROM entries WHERE account_id = accounts.id
             ORDER BY entries.id DESC LIMIT 1) AS last ON true
         WHERE (accounts.free, accounts.held, accounts.debt)
               IS DISTINCT FROM (last.free_after, last.held_after, last.debt_after)""",
}


class Writer:
    """One task of a writing process: random acts on random accounts, refusals being no matter."""

    def __init__(self, book: Book, queue: SpendQueue, name: str) -> None:
        self.book, self.queue, self.name = book, queue, name
        self.chance = random.Random(name)
        self.holds: list[int] = []
        self.journals: list[int] = []
        self.serial = 0

    def key(self) -> RequestKey:
        self.serial += 1
        return request_key(f"{self.name}-{self.serial}", "POST", "/tests", {})

    def order(self) -> Order:
        return Order(actor=self.name, key=self.key(), reason="a reason")

    async def act(self) -> None:
        account_id = f"user-{self.chance.randrange(ACCOUNTS)}"
        amount = self.chance.randint(1, 4)
        acts = [self.spend, self.spend, self.grant, self.hold, self.close_hold, self.reverse]
        with contextlib.suppress(TallybookError):
            await self.chance.choice(acts)(account_id, amount)

    async def spend(self, account_id: str, amount: int) -> None:
        result = await self.queue.spend(
            SpendOrder(account_id=account_id, amount=amount, actor=self.name, key=self.key())
        )
        if not isinstance(result, TallybookError):
            self.journals.append(result.journal_id)

    async def grant(self, account_id: str, amount: int) -> None:
        done = await corrections.grant(
            self.book, account_id, amount, self.order(), expires_at=None, priority=None
        )
        self.journals.append(done.journal_id)

    async def hold(self, account_id: str, amount: int) -> None:
        done = await hold.place(self.book, account_id, amount, 1, self.order())
        number = done.answer["hold_id"]
        assert isinstance(number, int)
        self.holds.append(number)

    async def close_hold(self, _: str, amount: int) -> None:
        if self.holds:
            number = self.holds.pop(self.chance.randrange(len(self.holds)))
            if self.chance.random() < 0.5:
                await hold.release(self.book, number, self.order())
            else:
                done = await hold.capture(
                    self.book, number, hold.Capture(amount=amount), self.order()
                )
                self.journals.append(done.journal_id)

    async def reverse(self, _: str, __: int) -> None:
        if self.journals:
            number = self.journals.pop(self.chance.randrange(len(self.journals)))
            policy = self.chance.choice(list(Policy))
            order = ReversalOrder(reason="a reason", policy=policy, actor=self.name, key=self.key())
            await journal.reverse_journal(self.book, number, order, dry_run=False)


async def write_for_ever(url: str, name: str) -> None:
    """What each writing process does until it is killed."""
    database = Database(url, TASKS + 2)
    await database.open()
    book = Book(database)
    queue = SpendQueue(book)

    async def write(task: int) -> None:
        writer = Writer(book, queue, f"{name}-{task}")
        while True:
            await writer.act()

    async with asyncio.TaskGroup() as group:
        for task in range(TASKS):
            group.create_task(write(task))


async def check_all(database: Database) -> int:
    """Every rule in one snapshot; how many entries there were."""
    async with database.snapshot():
        for name, query in ALWAYS.items():
            wrong = await database.fetch(query)
            assert wrong == [], name
        return int(await database.fetchval("SELECT count(*) FROM entries"))


@pytest.fixture
def writers(server):
    """The writing processes; they end as a crash would end them."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> list[subprocess.Popen[bytes]]:
        for number in range(PROCESSES):
            named = [server.application_url, f"writer-{number}"]
            command = [sys.executable, "-m", "tests.faults.test_ring", *named]
            processes.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE))
        return processes

    yield start
    for process in processes:
        process.kill()
        process.communicate()


async def test_every_snapshot_balances_while_writers_write(server, writers) -> None:
    database = Database(server.application_url, 2)
    await database.open()
    try:
        book = Book(database)  # on a clock that runs: holds lapse meanwhile
        for number in range(ACCOUNTS):
            await put(book, f"user-{number}", None, None, "tests")
        processes = writers()
        loop = asyncio.get_running_loop()
        counts: list[int] = []
        writing_ends_at = None
        while writing_ends_at is None or loop.time() < writing_ends_at:
            counts.append(await check_all(database))
            if writing_ends_at is None and counts[-1] > counts[0]:
                writing_ends_at = loop.time() + SECONDS  # the writers have come up
            for process in processes:
                assert process.poll() is None, process.communicate()[1].decode()[-2000:]
            await asyncio.sleep(0.02)
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        # The server ends what they left open as soon as it sees the sockets closed.
        await check_all(database)
        assert len(set(counts)) > 10, "the reader saw too little of the writing"
        kinds = await database.fetch("SELECT DISTINCT kind FROM entries")
        assert {"grant", "spend", "hold", "release", "reversal"} <= {row[0] for row in kinds}
        assert await differences(database) == []
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(write_for_ever(*sys.argv[1:]))
