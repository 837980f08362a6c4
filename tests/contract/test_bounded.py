"""Open routes and reports cost so much and no more, however often they are asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from app.web.http import bounded
from app.web.http.bounded import LOOKS_A_SECOND, REPORTS_AT_ONCE, Looks
from tests.api_client import Api
from tests.conftest import Server
from tests.contract.test_routes import is_problem


class Counted:
    """A look that counts how often it is taken, and may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.taken = 0
        self.error = error

    async def __call__(self) -> int:
        self.taken += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.taken


async def test_a_look_is_new_until_it_is_asked_for_often() -> None:
    look = Counted()
    looks = Looks(look)
    assert [await looks.get() for _ in range(LOOKS_A_SECOND)] == [1, 2, 3, 4, 5]
    assert {await looks.get() for _ in range(500)} == {5}
    await asyncio.sleep(1.1)
    assert await looks.get() == 6


async def test_those_who_ask_at_once_share_one_look() -> None:
    look = Counted()
    looks = Looks(look)
    assert set(await asyncio.gather(*(looks.get() for _ in range(50)))) == {1}


async def test_a_failure_is_told_to_each_and_looked_at_no_more_often() -> None:
    look = Counted(RuntimeError("away"))
    looks = Looks(look)
    for _ in range(50):
        with pytest.raises(RuntimeError, match="away"):
            await looks.get()
    assert look.taken == LOOKS_A_SECOND
    look.error = None
    await asyncio.sleep(1.1)
    assert await looks.get() == LOOKS_A_SECOND + 1


async def test_a_flood_of_probes_asks_the_database_no_more_often(api: Api, server: Server) -> None:
    """Each probe took two statements, each scrape 10 ms of the process."""
    watcher = await asyncpg.connect(server.superuser_url)
    name = server.application_url.rpartition("/")[2]

    async def committed() -> int:
        await watcher.execute("SELECT pg_stat_clear_snapshot()")
        return int(
            await watcher.fetchval(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = $1", name
            )
        )

    await api.client.get("/health/ready")
    await asyncio.sleep(1.2)  # sessions report their counts once a second
    before = await committed()
    for _ in range(300):
        assert (await api.client.get("/health/ready")).status_code == 200
    await asyncio.sleep(1.2)
    assert await committed() - before < 100
    await watcher.close()


async def test_reports_at_once_leave_room_and_one_more_is_told_to_come_back(
    api: Api, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen at once took every connection of the process, and spends waited."""
    monkeypatch.setattr(bounded, "REPORT_WAIT_SECONDS", 0.3)
    await api.put("/api/v1/accounts/user-1", {})
    owner = await asyncpg.connect(server.owner_url)
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")  # so that reports wait

    async def report() -> Any:
        return await api.get("/api/v1/ledger/trial-balance")

    waiting = [asyncio.create_task(report()) for _ in range(REPORTS_AT_ONCE)]
    await asyncio.sleep(0.1)
    refused = await report()
    assert is_problem(refused, 503, "busy")
    assert refused.json()["retryable"] is True
    assert (await api.get("/api/v1/subscriptions")).status_code == 200
    await transaction.rollback()
    await owner.close()
    assert {(await one).status_code for one in waiting} == {200}
    assert (await report()).status_code == 200
