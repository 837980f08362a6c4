"""Transactions are safe for money: no failure keeps a connection or a half-finished block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from app.infrastructure.db import Database
from tests.conftest import Server, open_database

POOL_SIZE = 2
ANSWER_S_MAX = 10.0

# Every COMMIT that touched `scratch` fails where a negative number stands, and `slow` takes long.
SCRATCH = """
CREATE TABLE scratch (number int);
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number < 0 THEN RAISE EXCEPTION 'refused at commit'; END IF;
    IF NEW.number > 99 THEN PERFORM pg_sleep(20); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER judge AFTER INSERT ON scratch DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION judge();
GRANT SELECT, INSERT ON scratch TO tallybook_app;
"""


@pytest.fixture
async def scratch(server: Server) -> AsyncIterator[Database]:
    """The application's role with a pool of two, and a table whose commits can fail."""
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute(SCRATCH)
    await owner.close()
    async with open_database(server.application_url, POOL_SIZE) as database:
        yield database


async def numbers(database: Database) -> list[int]:
    rows = await database.fetch("SELECT number FROM scratch ORDER BY number")
    return [row["number"] for row in rows]


async def insert(database: Database, number: int) -> None:
    await database.execute("INSERT INTO scratch VALUES ($1)", number)


async def every_connection_answers(database: Database) -> bool:
    """Whether the whole pool can be had at once: none leaked, none left in a transaction."""
    assert not database.in_transaction
    together = asyncio.Barrier(POOL_SIZE)

    async def one() -> int:
        async with database.transaction():
            await together.wait()
            return int(await database.fetchval("SELECT 1"))

    async with asyncio.timeout(ANSWER_S_MAX):
        return await asyncio.gather(*(one() for _ in range(POOL_SIZE))) == [1] * POOL_SIZE


async def test_a_pool_of_two_survives_ten_failed_commits(scratch: Database) -> None:
    for _ in range(10):
        with pytest.raises(asyncpg.RaiseError, match="refused at commit"):
            async with scratch.transaction():
                await insert(scratch, -1)
        assert not scratch.in_transaction
    assert await every_connection_answers(scratch)
    assert await numbers(scratch) == []


async def test_a_query_after_a_failed_commit_is_not_swallowed_by_its_transaction(
    scratch: Database,
) -> None:
    with pytest.raises(asyncpg.RaiseError):
        async with scratch.transaction():
            await insert(scratch, -1)
    await insert(scratch, 7)
    async with open_database(scratch.url) as another:
        assert await numbers(another) == [7]


async def test_an_error_in_the_block_rolls_it_back_and_is_the_one_that_is_raised(
    scratch: Database,
) -> None:
    with pytest.raises(LookupError):  # noqa: PT012 - the block is what is tested
        async with scratch.transaction():
            await insert(scratch, 1)
            raise LookupError
    assert await numbers(scratch) == []
    assert await every_connection_answers(scratch)


async def test_a_swallowed_inner_error_takes_the_inner_writes_and_no_others(
    scratch: Database,
) -> None:
    async with scratch.transaction():
        await insert(scratch, 1)
        try:
            async with scratch.transaction():
                await insert(scratch, 2)
                raise LookupError
        except LookupError:
            await insert(scratch, 3)
    assert await numbers(scratch) == [1, 3]


async def test_a_statement_that_fails_in_a_nested_block_leaves_the_outer_usable(
    scratch: Database,
) -> None:
    async with scratch.transaction():
        await insert(scratch, 1)
        with pytest.raises(asyncpg.PostgresError):
            async with scratch.transaction():
                await scratch.execute("INSERT INTO scratch VALUES (1 / 0)")
        await insert(scratch, 2)
    assert await numbers(scratch) == [1, 2]


async def test_an_outer_error_takes_the_inner_writes_too(scratch: Database) -> None:
    with pytest.raises(LookupError):  # noqa: PT012 - the block is what is tested
        async with scratch.transaction():
            async with scratch.transaction():
                await insert(scratch, 2)
            raise LookupError
    assert await numbers(scratch) == []


async def test_nested_blocks_go_as_deep_as_one_likes(scratch: Database) -> None:
    async with scratch.transaction():
        await insert(scratch, 1)
        with pytest.raises(LookupError):  # noqa: PT012 - the block is what is tested
            async with scratch.transaction():
                async with scratch.transaction():
                    await insert(scratch, 2)
                raise LookupError
        async with scratch.transaction():
            await insert(scratch, 3)
    assert await numbers(scratch) == [1, 3]
    assert await every_connection_answers(scratch)


async def test_cancellation_in_the_middle_of_a_query_gives_the_connection_back(
    scratch: Database,
) -> None:
    begun = asyncio.Event()

    async def sleeper() -> None:
        async with scratch.transaction():
            await insert(scratch, 1)
            begun.set()
            await scratch.execute("SELECT pg_sleep(20)")

    for _ in range(POOL_SIZE + 1):
        begun.clear()
        task = asyncio.create_task(sleeper())
        await begun.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    assert await every_connection_answers(scratch)
    assert await numbers(scratch) == []


async def test_cancellation_during_the_commit_gives_the_connection_back(scratch: Database) -> None:
    async def committer() -> None:
        async with scratch.transaction():
            await insert(scratch, 100)

    for _ in range(POOL_SIZE + 1):
        task = asyncio.create_task(committer())
        await asyncio.sleep(0.1)
        assert not task.done(), "the deferred trigger sleeps in the COMMIT"
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    assert await every_connection_answers(scratch)
    assert await numbers(scratch) == []


async def test_cancellation_at_any_moment_leaves_the_whole_pool(scratch: Database) -> None:
    async def transfer() -> None:
        async with scratch.transaction():
            await insert(scratch, 1)
            async with scratch.transaction():
                await insert(scratch, 2)

    for step in range(60):
        task = asyncio.create_task(transfer())
        for _ in range(step % 12):
            await asyncio.sleep(0)
        await asyncio.sleep(step / 20_000)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # an impatient canceler must not cut off the giving back
        await asyncio.wait({task})
    assert await every_connection_answers(scratch)
    kept = await numbers(scratch)
    assert kept.count(1) == kept.count(2), "each block was all or nothing"


async def test_a_snapshot_sees_one_instant_and_writes_nothing(scratch: Database) -> None:
    async with open_database(scratch.url) as another, scratch.snapshot():
        assert await numbers(scratch) == []
        await insert(another, 5)
        assert await numbers(scratch) == []
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with scratch.transaction():
                await insert(scratch, 6)
    assert await numbers(scratch) == [5]


async def test_a_task_that_lived_through_a_restart_of_postgresql_goes_on(folder: Path) -> None:
    passwords = Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)
    postgres = EmbeddedPostgres(folder, free_port(), passwords, {"fsync": "off"})
    with Guard(f"restart {folder}") as watcher:
        postgres.start(watcher)
        await asyncio.to_thread(postgres.ready, 20)
        async with open_database(postgres.application_url, POOL_SIZE) as database:
            assert await every_connection_answers(database)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):  # noqa: PT012
                async with database.transaction():
                    postgres.kill()
                    postgres.start(watcher)
                    await asyncio.to_thread(postgres.ready, 20)
                    await database.fetchval("SELECT 1")
            assert not database.in_transaction
            try:
                assert await database.fetchval("SELECT 2") == 2
                assert await every_connection_answers(database)
            except OSError as error:
                error.add_note((folder / "logs" / "postgres.log").read_text())
                raise
        await asyncio.to_thread(postgres.stop)


async def test_a_rehearsal_leaves_nothing_and_hides_no_error(scratch: Database) -> None:
    seen: list[str] = []
    async with scratch.rehearsal():
        await insert(scratch, 1)
        scratch.after_commit(lambda: seen.append("committed"))
        assert await numbers(scratch) == [1]
    with pytest.raises(asyncpg.RaiseError):
        async with scratch.rehearsal():
            await scratch.execute("DO $$ BEGIN RAISE 'no' ; END $$")
    async with scratch.transaction():
        await insert(scratch, 3)
        async with scratch.rehearsal():
            await insert(scratch, 4)
    assert (await numbers(scratch), seen) == ([3], [])
    assert await every_connection_answers(scratch)
