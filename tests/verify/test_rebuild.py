"""Rebuild: whatever was damaged beside the entries is what they say again."""

from __future__ import annotations

import asyncpg
import pytest

from app.cli.ledger import rebuild_ledger
from app.infrastructure.db import Database
from app.verify.rebuild import EntriesContradictError, find, rebuild
from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger
from tests.conftest import NOW, Server
from tests.invariants import differences

TABLES = ("accounts", "lots", "holds")
# What a hand with all rights did, for each projection.
DAMAGE = (
    "UPDATE accounts SET free = free + 7 WHERE debt = 0",
    "UPDATE accounts SET held = held + 1",
    "UPDATE accounts SET debt = debt + 5 WHERE free = 0",
    "UPDATE accounts SET free = 0, held = 0, debt = 0",
    "UPDATE accounts SET last_used_at = last_used_at + interval '1 day'",
    "UPDATE accounts SET last_used_at = NULL",
    "UPDATE lots SET free = 0, held = 0",
    "UPDATE lots SET granted = granted + 100",
    "UPDATE lots SET granted = granted + 9, lapsed = lapsed + 9",
    "UPDATE lots SET refunded = refunded - 1",
    "UPDATE lots SET live = false, free = 0, held = 0",
    "UPDATE lots SET live = true",
    "UPDATE holds SET state = 'held'",
    "UPDATE holds SET state = 'released'",
    "UPDATE holds SET captured = 0",
    "UPDATE holds SET amount = amount + 1",
)


async def content(connection: asyncpg.Connection) -> dict[str, list[str]]:
    return {
        table: [
            row[0]
            for row in await connection.fetch(f"SELECT row::text FROM {table} row ORDER BY id")
        ]
        for table in TABLES
    }


async def test_every_damage_is_named_and_mended(
    busy: BusyLedger, database: Database, superuser: asyncpg.Connection
) -> None:
    assert await find(database) == []
    assert await rebuild(database) == []
    before = await content(superuser)
    for damage in DAMAGE:
        changed = int((await superuser.execute(damage)).split()[1])
        damaged = await content(superuser)
        named = await find(database)
        assert damaged == await content(superuser), "a dry run changes nothing"
        assert bool(named) == (damaged != before), damage
        assert changed
        assert await rebuild(database) == named
        assert await content(superuser) == before, damage
    assert await differences(database) == []


async def test_each_state_of_a_hold_is_told_by_its_entries(
    api: Api, database: Database, superuser: asyncpg.Connection
) -> None:
    busy = BusyLedger(api, 0)
    await api.put("/api/v1/accounts/user-1", {})
    for expires_in_s in (600, 600, 600, 60):
        await busy.post("accounts/user-1/holds", {"amount": 1, "expires_in_s": expires_in_s})
    captured, released, *_ = busy.holds
    await busy.post(f"holds/{captured}/capture", {"amount": 1})
    await busy.post(f"holds/{released}/release", {})
    await api.set_clock(NOW.replace(minute=2))
    wanted = ["captured", "released", "held", "expired"]
    for damage in ("held", "captured", "released", "expired"):
        await superuser.execute("UPDATE holds SET state = $1", damage)
        assert len(await rebuild(database)) == 3
        rows = await database.fetch("SELECT state FROM holds ORDER BY id")
        assert [row["state"] for row in rows] == wanted


async def test_entries_that_contradict_change_nothing(
    api: Api, database: Database, superuser: asyncpg.Connection
) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.spend("user-1", 2, "key-1")
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute("UPDATE entries SET amount = 9 WHERE kind = 'spend'")
    before = await content(superuser)
    with pytest.raises(EntriesContradictError, match="verify"):
        await rebuild(database)
    assert await content(superuser) == before


async def test_the_command_prints_what_it_mended(
    api: Api,
    server: Server,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    await api.put("/api/v1/accounts/user-1", {})
    await superuser.execute("UPDATE accounts SET free = 8")
    await superuser.execute(
        "INSERT INTO usage_days (day_on, tier, label, member, granted) VALUES"
        " ('2026-01-01', 'FREE', '', '', 7)"
    )
    assert await rebuild_ledger(dry_run=True) == 1
    assert (await api.account("user-1"))["free"] == 8
    assert await rebuild_ledger(dry_run=False) == 0
    assert (await api.account("user-1"))["free"] == 5
    assert await superuser.fetchval("SELECT sum(granted) FROM usage_days") == 5
    assert await rebuild_ledger(dry_run=True) == 0
    looked = "1 differences from what the entries say, nothing was changed"
    told = " ".join(capsys.readouterr().out.split())
    for text in ("accounts", "entries say", looked, "mended"):
        assert text in told
