"""A run's chunks give way to other work on the database, and not to one another."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.infrastructure import clock
from app.runs.run import run_due
from app.runs.throttle import Pace
from tests.conftest import NOW, open_database


async def test_nobody_else_is_at_work_on_a_quiet_database(database) -> None:
    assert not await Pace(database).others_at_work()


async def test_two_looks_at_once_do_not_see_each_other(database) -> None:
    pace = Pace(database)
    assert not any(await asyncio.gather(*(pace.others_at_work() for _ in range(8))))


async def test_a_transaction_of_another_process_is_seen(database, server) -> None:
    async with open_database(server.application_url, 1) as other, other.transaction():
        assert await Pace(database).others_at_work()
    assert not await Pace(database).others_at_work()


async def test_a_chunk_beside_another_is_not_taken_for_somebody_else(database, server) -> None:
    pace, looked = Pace(database), asyncio.Event()

    async def chunk() -> int:
        async with database.transaction():
            await looked.wait()
        return 1

    chunks = [asyncio.create_task(pace.chunk(chunk)) for _ in range(2)]
    while database.pool_use()["used"] < 2:
        await asyncio.sleep(0)
    alone = await pace.others_at_work()
    async with open_database(server.application_url, 1) as other, other.transaction():
        beside = await pace.others_at_work()
    looked.set()
    assert await asyncio.gather(*chunks) == [1, 1]
    assert (alone, beside) == (False, True)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_run_beside_a_transaction_that_stays_open_still_comes_to_its_end(
    api, book, database, server, at_once
) -> None:
    for number in range(3):
        put = await api.client.put(
            f"/api/v1/accounts/user-{number}", json={}, headers=api.headers("service")
        )
        assert put.status_code == 201
    await clock.stand(database, NOW + timedelta(days=1))
    async with open_database(server.application_url, 1) as other, other.transaction():
        ticked = await run_due(database, book.catalogues, "test", 60.0, at_once=at_once)
    assert ticked.done
    assert await database.fetchval("SELECT sum(issued) FROM runs") == 3
