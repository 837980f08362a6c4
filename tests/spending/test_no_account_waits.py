"""No account waits for another: one whose row is locked delays its own callers, and briefly."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.accounts.open import CUSTOMER_LOCK
from app.accounts.put import put
from app.book import Book
from app.errors import BusyError, KeyInFlightError
from app.infrastructure.db import Database, kept_open
from app.ledger.idempotency import RequestKey, request_key
from app.spending import queue, turns
from app.spending.hold import place
from app.spending.keyed import Order
from app.spending.queue import SpendQueue
from app.spending.spend import SpendOrder, Spent
from app.spending.turns import Turns
from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

STUCK = "stuck"
OTHERS = [f"free-{number}" for number in range(8)]
FREEZE = """
import asyncio, os, signal, sys
from app.infrastructure.db import Database
from app.spending.queue import PATIENCE

async def main():
    database = Database(sys.argv[1], 1, patience=PATIENCE)
    await database.open()
    async with database.transaction():
        await database.execute("SELECT FROM accounts WHERE external_id = 'stuck' FOR UPDATE")
        print("locked", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)

asyncio.run(main())
"""


@pytest.fixture
async def spending(book: Book) -> AsyncIterator[Book]:
    """The book on the connections of spends, with an account that gets stuck and others."""
    for name in (STUCK, *OTHERS):
        await put(book, name, None, None, "tests")
    connections = queue.CONNECTIONS + turns.CONNECTIONS
    database = Database(book.database.url, connections, patience=queue.PATIENCE)
    async with kept_open(database):
        yield replace(book, database=database)


@asynccontextmanager
async def locked(url: str, statement: str, *values: object) -> AsyncIterator[None]:
    """Another session that holds a lock, as psql would."""
    session = await asyncpg.connect(url)
    transaction = session.transaction()
    await transaction.start()
    await session.execute(statement, *values)
    try:
        yield
    finally:
        await transaction.rollback()
        await session.close()


def stuck_row(book: Book) -> Any:
    """The stuck account's row, locked by another session."""
    return locked(
        book.database.url, "SELECT FROM accounts WHERE external_id = $1 FOR UPDATE", STUCK
    )


def spend_of(name: str, number: int = 1) -> SpendOrder:
    return SpendOrder(account_id=name, amount=1, actor="tests", key=key_of(f"{name}-{number}"))


def key_of(name: str) -> RequestKey:
    return request_key(name, "POST", name, {})


@pytest.mark.parametrize("stuck_count", [1, 3 * queue.GROUP_ORDERS_MAX])
async def test_spends_of_others_go_through_while_one_account_is_locked(
    spending: Book, stuck_count: int
) -> None:
    spends = SpendQueue(spending)
    async with asyncio.timeout(60):
        async with stuck_row(spending):
            stuck = [
                asyncio.create_task(spends.spend(spend_of(STUCK, number)))
                for number in range(stuck_count)
            ]
            for number in range(4):  # one after another, and beside one another
                assert isinstance(await spends.spend(spend_of(OTHERS[0], number)), Spent)
                told = await asyncio.gather(
                    *(spends.spend(spend_of(name, number)) for name in OTHERS[1:])
                )
                assert [type(one) for one in told] == [Spent] * len(told)
            assert not [one for one in stuck if one.done()], "they wait for their own lock alone"
            # Told in time, though nobody lets go of the lock.
            assert {type(one) for one in await asyncio.gather(*stuck)} == {KeyInFlightError}
        assert isinstance(await spends.spend(spend_of(STUCK)), Spent), "the same key, later"
        await spends.close()


async def test_a_batch_passes_over_the_account_that_is_locked(
    spending: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "WAIT_S", 0.5)
    spends = SpendQueue(spending)
    async with stuck_row(spending):
        told = await spends.batch([spend_of(name) for name in (OTHERS[0], STUCK, OTHERS[1])])
    assert [type(one) for one in told] == [Spent, KeyInFlightError, Spent]


async def test_whoever_waits_for_a_lock_that_comes_free_is_served(spending: Book) -> None:
    spends = SpendQueue(spending)
    async with asyncio.timeout(30):
        async with stuck_row(spending):
            waiting = [
                asyncio.create_task(spends.spend(spend_of(STUCK, number))) for number in range(3)
            ]
            await spends.spend(spend_of(OTHERS[0]))
            await asyncio.sleep(0.3)
        assert [type(one) for one in await asyncio.gather(*waiting)] == [Spent] * 3


async def test_more_stuck_accounts_than_lanes_delay_nobody(
    spending: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LANES_MAX", 1)
    spends = SpendQueue(spending)
    everybody_else = "SELECT FROM accounts WHERE external_id <> $1 FOR UPDATE"
    async with asyncio.timeout(30):
        async with locked(spending.database.url, everybody_else, OTHERS[0]):
            stuck = [
                asyncio.create_task(spends.spend(spend_of(name))) for name in (STUCK, *OTHERS[1:])
            ]
            for number in range(5):
                assert isinstance(await spends.spend(spend_of(OTHERS[0], number)), Spent)
            assert not [one for one in stuck if one.done()]
        assert {type(one) for one in await asyncio.gather(*stuck)} == {Spent}


async def test_an_account_may_have_so_many_waiting_and_no_more(
    spending: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "WAITING_OF_ACCOUNT_MAX", 5)
    monkeypatch.setattr(queue, "WAIT_S", 0.5)
    spends = SpendQueue(spending)
    async with stuck_row(spending):
        waiting = [asyncio.create_task(spends.spend(spend_of(STUCK, n))) for n in range(200)]
        assert isinstance(await spends.spend(spend_of(OTHERS[0])), Spent)
        told = await asyncio.gather(*waiting)
    assert {type(one) for one in told} == {BusyError, KeyInFlightError}
    assert all(one.retryable for one in told if not isinstance(one, Spent))


async def test_a_key_that_another_session_is_writing_delays_nobody_else(spending: Book) -> None:
    spends = SpendQueue(spending)
    taken = """INSERT INTO journals (kind, source, actor, effective_at, recorded_at,
                                     idempotency_key, request_hash)
               VALUES ('spend', 'api', 'tests', now(), now(), $1, '')"""
    async with asyncio.timeout(30):
        async with locked(spending.database.url, taken, f"{STUCK}-1"):
            stuck = asyncio.create_task(spends.spend(spend_of(STUCK)))
            for number in range(5):
                told = await asyncio.gather(
                    *(spends.spend(spend_of(name, number)) for name in OTHERS)
                )
                assert [type(one) for one in told] == [Spent] * len(told)
            assert not stuck.done()
        assert isinstance(await stuck, Spent)


async def test_a_hold_waits_for_its_own_account_alone(
    spending: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAIT_S", 1.0)
    acts = Turns()

    def hold(name: str, number: int) -> Any:
        order = Order(actor="tests", key=key_of(f"hold-{name}-{number}"))
        return acts.act(name, lambda: place(spending, name, 1, 60, order))

    async with asyncio.timeout(30):
        async with stuck_row(spending):
            stuck = [asyncio.create_task(hold(STUCK, number)) for number in range(20)]
            for number in range(3):
                await asyncio.gather(*(hold(name, number) for name in OTHERS))
            assert not [one for one in stuck if one.done()]
            told = await asyncio.gather(*stuck, return_exceptions=True)
        assert {type(one) for one in told} == {KeyInFlightError}
        await hold(STUCK, 0)


@contextmanager
def frozen_process(url: str) -> Iterator[None]:
    """A process that was stopped in the middle of a spend, holding the stuck account's row."""
    process = subprocess.Popen(
        [sys.executable, "-c", FREEZE, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "locked\n"
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


async def test_a_frozen_process_loses_its_rows_before_their_callers_give_up(
    spending: Book,
) -> None:
    spends = SpendQueue(spending)
    with frozen_process(spending.database.url):
        stuck = asyncio.create_task(spends.spend(spend_of(STUCK)))
        assert isinstance(await spends.spend(spend_of(OTHERS[0])), Spent)
        assert not stuck.done()
        assert isinstance(await stuck, Spent)


async def test_webhooks_that_wait_for_their_customer_leave_spends_their_connections(
    api: Api, database: Database
) -> None:
    for name in OTHERS:
        await api.put(f"/api/v1/accounts/{name}", {})
    lock = f"SELECT pg_advisory_xact_lock(hashtextextended($1, {CUSTOMER_LOCK}))"
    async with asyncio.timeout(60):
        async with locked(database.url, lock, "cus_1"):
            webhooks = [
                asyncio.create_task(
                    api.post_event(
                        make_subscription_event(
                            f"evt_{number}", "updated", NOW + timedelta(seconds=number)
                        )
                    )
                )
                for number in range(40)
            ]
            await asyncio.sleep(0.2)
            for name in OTHERS:
                assert (await api.spend(name, 1, name)).status_code == 201
            assert not [one for one in webhooks if one.done()]
        await asyncio.gather(*webhooks)


async def test_readiness_tells_when_spends_do_not_go_through(api: Api) -> None:
    state = api.client._transport.app.state  # type: ignore[attr-defined]
    pool = state.spending.database.engine.pool
    taken = [await pool.acquire() for _ in range(pool.get_max_size())]
    answer = await api.client.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert "Spends do not go through" in answer.json()["detail"]
    for connection in taken:
        await pool.release(connection)
    assert (await api.client.get("/health/ready")).status_code == 200
