"""The clock may step back; the book's time does not, and what was said to be complete stays so."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences

SetClock = Callable[[datetime], Coroutine[Any, Any, None]]
LATER = NOW + timedelta(seconds=10)
BACK = NOW + timedelta(seconds=8)


@pytest.fixture
def set_clock(superuser: asyncpg.Connection) -> SetClock:
    """Set the book's clock, also back: a step of NTP, a virtual machine that goes on."""

    async def set_clock(to: datetime) -> None:
        await superuser.execute("UPDATE dev_clock SET standing_at = $1", to)

    return set_clock


async def told(api: Api, path: str, **query: object) -> dict[str, Any]:
    answer = await api.get(path, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def recorded(database: Database) -> list[datetime]:
    rows = await database.fetch("SELECT recorded_at FROM entries ORDER BY id")
    return [row["recorded_at"] for row in rows]


async def test_what_is_recorded_after_a_step_back_stands_after_what_was_before(
    api: Api, database: Database, set_clock: SetClock
) -> None:
    await api.put("/api/v1/accounts/una", {})
    await set_clock(LATER)
    await api.spend("una", 1, "key-1")
    await set_clock(BACK)
    assert (await api.spend("una", 2, "key-2")).json()["balance"] == 2
    times = await recorded(database)
    assert times == sorted(times)
    await set_clock(NOW + timedelta(hours=1))
    half_past = (NOW + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    path = "/api/v1/accounts/una/balance"
    assert (await told(api, path, as_of=half_past))["balance"] == 2
    assert (await told(api, path))["balance"] == 2
    start = (NOW - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    query = {"from": start, "to": half_past, "account_id": "una"}
    assert (await told(api, "/api/v1/ledger/roll-forward", **query))["closing"] == 2
    assert await differences(database) == []


async def test_no_entry_arrives_before_what_was_said_to_be_complete(
    api: Api, database: Database, set_clock: SetClock
) -> None:
    for account in ("una", "ben"):
        await api.put(f"/api/v1/accounts/{account}", {})
    await set_clock(LATER)
    await api.spend("una", 1, "key-1")
    complete_to = (await told(api, "/api/v1/ledger/entries"))["complete_to"]
    before = await told(api, "/api/v1/ledger/trial-balance", as_of=complete_to)
    await set_clock(BACK)
    # An account that nobody wrote since: only the floor keeps its entry from going before.
    assert (await api.spend("ben", 2, "key-2")).status_code == 201
    assert (await told(api, "/api/v1/ledger/trial-balance", as_of=complete_to))[
        "accounts"
    ] == before["accounts"]
    assert await differences(database) == []


async def test_a_day_that_a_run_opens_is_not_recorded_before_the_floor(
    api: Api, database: Database, set_clock: SetClock
) -> None:
    await api.put("/api/v1/accounts/una", {})
    tomorrow = NOW + timedelta(days=1)
    await set_clock(tomorrow + timedelta(seconds=2))
    complete_to = (await told(api, "/api/v1/ledger/entries"))["complete_to"]
    await set_clock(tomorrow)
    await api.set_clock(tomorrow)
    run = (await told(api, "/api/v1/runs"))["data"][-1]
    assert run["issued"] == 1
    later = [at for at in await recorded(database) if at > NOW + timedelta(hours=1)]
    assert min(later).isoformat() > complete_to.replace("Z", "+00:00")
    answer = await api.client.post(
        "/api/v1/reversals",
        json={"run_id": run["id"], "reason": "a test"},
        headers=api.headers("operator", **{"Idempotency-Key": "key-r"}),
    )
    assert answer.status_code == 202, answer.text
    times = await recorded(database)
    assert times == sorted(times)
    assert await differences(database) == []


async def test_an_entry_that_somebody_dated_back_is_named(
    api: Api, database: Database, superuser: asyncpg.Connection, set_clock: SetClock
) -> None:
    await api.put("/api/v1/accounts/una", {})
    await set_clock(LATER)
    await api.spend("una", 1, "key-1")
    await set_clock(LATER + timedelta(seconds=5))
    await api.spend("una", 1, "key-2")
    await superuser.execute("SET session_replication_role = replica")
    for table in ("entries", "journals"):
        await superuser.execute(
            f"""UPDATE {table} SET recorded_at = recorded_at - interval '1 minute'
                 WHERE id = (SELECT max(id) FROM {table})"""
        )
    assert any("was recorded at" in found for found in await differences(database))
