"""Outages in mid-run: a kill in any chunk, PostgreSQL started again, Redis empty."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from arq.connections import ArqRedis
from arq.jobs import JobStatus

from app.accounts import apply_catalogue
from app.accounts.put import put
from app.allowance.catalogue import default_text
from app.book import Book
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from app.infrastructure import clock, migrations
from app.infrastructure.db import Database
from app.jobs import arq_worker
from app.jobs.arq_worker import open_pool, work
from app.outgoing.sending import Sender
from app.runs import bulk, one_by_one
from app.runs.run import run_due
from tests.conftest import NOW, open_database
from tests.faults.test_crash_points import UseCase, killed
from tests.invariants import differences
from tests.running_redis import RunningRedis

ACCOUNTS = 7
CHUNK = 2  # so that a run has several
# Every statement of the first two chunks and of the end would be a hundred forks: a prime step
# meets each kind of statement, in one chunk or another.
POINTS = range(1, 200, 7)


async def run_everything(book: Book, _: int) -> None:
    await run_due(book.database, book.catalogues, "tests", 60)


async def _begin(url: str) -> Book:
    database = Database(url, 2)
    await database.open()
    await clock.stand(database, NOW)
    book = Book(database)
    for n in range(ACCOUNTS):
        # Every third owes its day's end to the one-by-one way.
        await put(book, f"user-{n}", None, "UTC", "tests")
    await database.execute("UPDATE accounts SET time_zone = 'Etc/GMT' WHERE id % 3 = 0")
    return book


async def whole(book: Book, day: int) -> None:
    """The day was opened once for each account, and its run says so."""
    database = book.database
    row = await database.fetchrow("SELECT * FROM runs ORDER BY day_on DESC LIMIT 1")
    opened = await database.fetch(
        "SELECT account_id FROM daily_grants WHERE day_on = $1", (NOW + timedelta(days=day)).date()
    )
    assert sorted(one["account_id"] for one in opened) == list(range(1, ACCOUNTS + 1))
    counts = (
        "state",
        "expected",
        "issued",
        "issued_credits",
        "expired_credits",
        "skipped",
        "failed",
        "not_opened",
    )
    assert [row[name] for name in counts] == [
        "done",
        ACCOUNTS,
        ACCOUNTS,
        5 * ACCOUNTS,
        5 * ACCOUNTS,
        0,
        0,
        0,
    ]


def test_a_kill_in_any_chunk_leaves_the_rest_to_the_next_tick(server, monkeypatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK_ACCOUNTS", CHUNK)
    monkeypatch.setattr(one_by_one, "CHUNK_ACCOUNTS", CHUNK)
    use_case = UseCase(run_everything, run_everything)
    died_after: set[int] = set()
    with asyncio.Runner() as runner:
        book = runner.run(_begin(server.application_url))
        try:
            for day, point in enumerate(POINTS, start=1):
                runner.run(clock.stand(book.database, NOW + timedelta(days=day)))
                dead = killed(server.application_url, use_case, day, point)
                count = runner.run(opened_on(book.database, day))
                if dead:
                    died_after.add(count)
                runner.run(run_everything(book, day))
                runner.run(whole(book, day))
                if not dead:
                    break
            else:
                pytest.fail("the run has more statements than that")
            assert died_after >= {0, 2, 4, 7}, "it died before, between and after the chunks"
            assert runner.run(differences(book.database)) == []
        finally:
            runner.run(book.database.close())


async def opened_on(database: Database, day: int) -> int:
    return await database.fetchval(  # type: ignore[no-any-return]
        "SELECT count(*) FROM daily_grants WHERE day_on = $1", (NOW + timedelta(days=day)).date()
    )


def in_the_second_chunk(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]
) -> list[Any]:
    """Do this once the second chunk of two accounts is written and not committed.

    Returns what each chunk counted, as they come.
    """
    monkeypatch.setattr(bulk, "CHUNK_ACCOUNTS", CHUNK)
    open_days, chunks = bulk.open_days, list[Any]()

    async def interrupted(*args: Any, **named: Any) -> Any:
        counted = await open_days(*args, **named)
        chunks.append(counted)
        if len(chunks) == 2:
            await act()
        return counted

    monkeypatch.setattr(bulk, "open_days", interrupted)
    return chunks


async def test_postgresql_started_again_in_mid_run_costs_nobody_a_day(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)
    postgres = EmbeddedPostgres(folder, free_port(), passwords, {})
    with Guard(f"mid-run {folder}") as watcher:
        postgres.start(watcher)
        await asyncio.to_thread(postgres.ready, 30)
        logins = {"DATABASE_URL": postgres.application_url}
        await migrations.migrate(postgres.owner_url, logins, "development")
        async with open_database(postgres.owner_url, 1) as owner:
            await apply_catalogue.apply(Book(owner), default_text(), "tiers.toml", "tests")
        async with open_database(postgres.application_url, 2) as database:
            book = Book(database)
            await clock.stand(database, NOW)
            for n in range(ACCOUNTS):
                await put(book, f"user-{n}", None, "UTC", "tests")
            await clock.stand(database, NOW + timedelta(days=1))

            async def start_again() -> None:
                postgres.kill()
                postgres.start(watcher)
                await asyncio.to_thread(postgres.ready, 30)

            in_the_second_chunk(monkeypatch, start_again)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await run_due(database, book.catalogues, "dying", 60)
            for _ in range(3):  # each connection of the pool finds out once
                try:
                    assert await opened_on(database, 1) == CHUNK
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    continue
            ticked = await run_due(database, book.catalogues, "after", 60)
            assert ticked.done
            await whole(book, 1)
            assert await database.fetchval("SELECT started_by FROM runs") == "dying"
            assert await differences(database) == []
        postgres.stop()


async def test_redis_flushed_in_mid_run_costs_nobody_a_day(
    book: Book, running_redis: RunningRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = book.database
    for n in range(ACCOUNTS):
        await put(book, f"user-{n}", None, "UTC", "tests")
    await clock.stand(database, NOW + timedelta(days=1))
    queue = open_pool(running_redis.url)

    async def forget() -> None:
        await queue.flushall()  # arq's job, its locks and its queue are gone
        await queue.enqueue_job("nudge")

    chunks = in_the_second_chunk(monkeypatch, forget)
    working = asyncio.create_task(work(book, running_redis.url, Sender(pepper="p")))
    try:
        await _heard(queue)  # it does nothing yet: the clock stands
        await clock.run_on(database)
        await queue.enqueue_job("nudge")
        await _done(database)
        await _heard(queue)
        await whole(book, 1)
        assert len(chunks) > ACCOUNTS // CHUNK
        assert await differences(database) == []
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await queue.aclose(close_connection_pool=True)


async def test_a_redis_that_hangs_stops_no_tick(
    book: Book, running_redis: RunningRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """arq waits for its answer without a limit, and ticked no more until it came."""
    monkeypatch.setattr(arq_worker, "SILENCE_SECONDS_MAX", 1.0)
    database = book.database
    for n in range(ACCOUNTS):
        await put(book, f"user-{n}", None, "UTC", "tests")
    await clock.stand(database, NOW + timedelta(days=1))
    queue = open_pool(running_redis.url)
    working = asyncio.create_task(work(book, running_redis.url, Sender(pepper="p")))
    try:
        await _heard(queue)
        running_redis.signal(signal.SIGSTOP)
        await clock.run_on(database)
        await _done(database)
        await whole(book, 1)
        running_redis.signal(signal.SIGCONT)
        await _heard(queue)
        assert await differences(database) == []
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await queue.aclose(close_connection_pool=True)


@pytest.mark.parametrize("poison", ["a job", "the queue"])
async def test_what_nobody_can_read_in_redis_is_thrown_away(
    book: Book, running_redis: RunningRedis, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    monkeypatch.setattr(arq_worker, "RETRY_SECONDS", 0.1)
    queue = open_pool(running_redis.url)
    if poison == "a job":
        await queue.set("arq:job:p6", b'{"t":1,"f":"nudge","a":[],"k":{},"et":"x"}')
        await queue.zadd("arq:queue", {"p6": 1})
    else:
        await queue.set("arq:queue", "no sorted set")
    working = asyncio.create_task(work(book, running_redis.url, Sender(pepper="p")))
    try:
        async with asyncio.timeout(50):
            while await queue.exists("arq:queue"):
                await asyncio.sleep(0.05)
        await _heard(queue)
        assert not working.done()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await queue.aclose(close_connection_pool=True)


async def _heard(queue: ArqRedis) -> None:
    """Until arq's worker has done a job that is asked of it now."""
    job = await queue.enqueue_job("nudge")
    assert job is not None
    async with asyncio.timeout(50):
        while await job.status() is not JobStatus.not_found:
            await asyncio.sleep(0.05)


async def _done(database: Database) -> None:
    async with asyncio.timeout(50):
        while not await database.fetchval("SELECT bool_and(state = 'done') FROM runs"):
            await asyncio.sleep(0.05)
