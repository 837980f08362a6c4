"""Reports of a hot standby: none without the primary's horizon, and none that lacks anything."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from app.accounts import apply_catalogue
from app.allowance.catalogue import default_text
from app.audit import readings
from app.audit.horizon import Horizons
from app.book import Book
from app.doctor.finding import Level
from app.doctor.replica import findings
from app.errors import BusyError, ConfigurationError
from app.infrastructure import sql
from app.infrastructure.checked_database import checked
from app.infrastructure.db import Database, opened
from app.infrastructure.settings import Settings
from app.operators import keys
from app.operators.keys import Scope
from tests.api_client import Api, open_api
from tests.as_owner import VARIABLE
from tests.conftest import PEPPER, on_database, open_database
from tests.metrics_text import value
from tests.streaming import STANDBY, Streaming, streaming

ACCOUNT = "ada"
REPORTS = (
    *("/api/v1/ledger/entries", "/api/v1/ledger/trial-balance", "/api/v1/ledger/export"),
    *("/api/v1/ledger/roll-forward?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",),
    *("/api/v1/usage?by=account,day", f"/api/v1/accounts/{ACCOUNT}/balance/explain"),
    *("/api/v1/events", "/api/v1/runs", "/api/v1/reversals", "/api/v1/operator-acts"),
    *("/api/v1/alerts", f"/api/v1/accounts/{ACCOUNT}/why"),
)


@pytest.fixture
async def servers(folder: Path) -> AsyncIterator[Streaming]:
    async with streaming(folder) as both:
        yield both


@pytest.fixture
async def served(servers: Streaming) -> AsyncIterator[Api]:
    """The service on both, with an account and no limit on how long a report waits."""
    settings = Settings(
        database_url=servers.primary.application_url,
        database_replica_url=servers.standby.application_url,
        stripe_webhook_secrets=("whsec_of_the_tests",),
        key_pepper=PEPPER,
    )
    async with opened(servers.primary.owner_url) as owner:
        await apply_catalogue.apply(Book(owner), default_text(), "tiers.toml", "tests")
        tokens = {str(scope): await keys.create(owner, PEPPER, scope, [scope]) for scope in Scope}
        async with open_api(owner, settings, tokens) as api:
            assert (await api.put(f"/api/v1/accounts/{ACCOUNT}", {})).status_code == 201
            yield api


async def spent(api: Api) -> list[str]:
    """The keys of the spends that the list of entries tells."""
    answer = await api.get("/api/v1/ledger/entries", kind="spend")
    assert answer.status_code == 200, answer.text
    return [entry["idempotency_key"] for entry in answer.json()["data"]]


async def answered(api: Api) -> dict[str, float]:
    """How many reports each of the two has answered."""
    text = await api.client.get("/metrics")
    return {
        by: value(text, "tallybook_reports_total", answered_by=by) or 0
        for by in ("replica", "primary")
    }


async def test_a_standby_is_refused_for_horizons_and_for_a_start(servers: Streaming) -> None:
    async with open_database(servers.standby.application_url, 1) as database:
        with pytest.raises(BusyError, match="standby and knows no horizon: ask the primary"):
            await Horizons().find(database)
    with pytest.raises(ConfigurationError, match="standby, which takes no writes"):
        async with checked(Database(servers.standby.application_url)):
            pass


async def test_the_replica_answers_every_report_with_all_that_was_acknowledged(
    servers: Streaming, served: Api
) -> None:
    assert (await served.spend(ACCOUNT, 1, "first")).status_code == 201
    for path in REPORTS:
        answer = await served.client.get(path, headers=served.headers("auditor"))
        assert answer.status_code == 200, (path, answer.text)
    assert await answered(served) == {"replica": len(REPORTS), "primary": 0}

    await servers.on_standby("SELECT pg_wal_replay_pause()")
    assert (await served.spend(ACCOUNT, 1, "second")).status_code == 201
    asked = asyncio.create_task(spent(served))
    await asyncio.wait({asked}, timeout=0.1)
    assert not asked.done(), "it waits for the second"
    await servers.on_standby("SELECT pg_wal_replay_resume()")
    assert await asked == ["first", "second"]
    assert await answered(served) == {"replica": len(REPORTS) + 1, "primary": 0}


async def test_a_position_alone_does_not_do(servers: Streaming) -> None:
    """A standby of another timeline may be further on, and lack what was acknowledged."""
    statement = sql.beside(readings.__file__)["has_replayed"]
    async with opened(servers.standby.application_url) as standby:
        floor = await standby.fetchval("SELECT floor FROM book")
        assert await standby.fetchval(statement(position="0/1", floor=floor))
        later = floor + timedelta(microseconds=1)
        assert not await standby.fetchval(statement(position="0/1", floor=later))


async def test_the_primary_answers_for_a_replica_that_lags_is_gone_or_went_its_own_way(
    servers: Streaming, served: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "WAIT_SECONDS_MAX", 0.05)
    await servers.on_standby("SELECT pg_wal_replay_pause()")
    assert (await served.spend(ACCOUNT, 1, "first")).status_code == 201
    with structlog.testing.capture_logs() as told:
        assert await spent(served) == ["first"]
        assert await spent(served) == ["first"], "it is left alone for a while"
    left = [line for line in told if line["event"] == "replica_left"]
    assert len(left) == 1, "and told once"
    assert left[0]["error"] == "BehindError"
    assert await answered(served) == {"replica": 0, "primary": 2}

    monkeypatch.setattr(readings, "ALONE_SECONDS", 0.0)
    monkeypatch.setattr(readings, "WAIT_SECONDS_MAX", 20.0)
    await servers.on_standby("SELECT pg_wal_replay_resume()")
    assert await spent(served) == ["first"]
    assert (await answered(served))["primary"] == 2, "it is asked again"

    monkeypatch.setattr(readings, "WAIT_SECONDS_MAX", 0.5)
    await servers.on_standby("SELECT pg_promote()")
    # Its own log goes past the primary's.
    await servers.on_standby("CREATE TABLE astray AS SELECT generate_series(1, 100000)")
    assert (await served.spend(ACCOUNT, 1, "second")).status_code == 201
    assert await spent(served) == ["first", "second"]
    servers.standby.stop()
    assert await spent(served) == ["first", "second"]
    assert (await answered(served))["primary"] == 4


async def test_the_doctor_tells_how_the_replica_stands(servers: Streaming) -> None:
    async def found(replica_url: str) -> dict[str, tuple[Level, str]]:
        async with (
            opened(servers.primary.application_url) as primary,
            opened(replica_url) as there,
        ):
            return {one.name: (one.level, one.said) for one in await findings(primary, there)}

    theirs = servers.standby.application_url
    level, said = (await found(theirs))["replica"]
    assert (level, "hot_standby_feedback off" in said) == (Level.WARN, True)
    assert (await found(theirs))["failover"][0] is Level.WARN
    await servers.on_standby("ALTER SYSTEM SET hot_standby_feedback = on")
    await servers.on_standby("SELECT pg_reload_conf()")
    await servers.wait_for_standby()
    level, said = (await found(theirs))["failover"]
    assert (level, STANDBY in said) == (Level.OK, True)
    assert (await found(theirs))["replica"][0] is Level.OK
    level, said = (await found(servers.primary.application_url))["replica"]
    assert (level, "is not a standby" in said) == (Level.FAIL, True)
    others: dict[str, str] = json.loads(os.environ[VARIABLE])
    other = on_database(others["application"], "postgres")
    level, said = (await found(other))["replica"]
    assert (level, "another server" in said) == (Level.FAIL, True)
