"""The commands of ops/backup.md, run: the copy verifies clean, and the work goes on there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from app.allowance.catalogues import Catalogues
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords, find_binaries
from app.embedded.program import Guard
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.usage.fold import fold
from tests.api_client import Api, open_api
from tests.conftest import FAST, NOW, Server, open_database
from tests.invariants import differences

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ops" / "backup.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```sh (\w+)\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
async def elsewhere(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A cluster that never had a book; PostgreSQL's own programs make it, ours not."""
    passwords = Passwords(superuser="admin-word", owner="owner-word", application="app-word")
    postgres = EmbeddedPostgres(folder / "new", free_port(), passwords, settings=FAST)
    with Guard(f"{folder}#") as guard:
        await asyncio.to_thread(postgres.start, guard)
        await asyncio.to_thread(postgres.ready, 60)
        connection = await asyncpg.connect(postgres.superuser_url)
        await connection.execute("DROP DATABASE tallybook")
        await connection.execute("DROP ROLE tallybook, tallybook_owner")
        await connection.execute("DROP ROLE tallybook_app, tallybook_read, tallybook_clock")
        await connection.close()
        yield postgres
        postgres.stop()


def run(block: str, variables: dict[str, str]) -> str:
    """One block of the page, as a shell runs it."""
    path = f"{find_binaries()}:{Path(sys.executable).parent}:/usr/bin:/bin"
    surroundings = {"PATH": path, "HOME": "/nonexistent", "COLUMNS": "250"}
    if "PYTHONPATH" in os.environ:
        surroundings["PYTHONPATH"] = os.environ["PYTHONPATH"]
    done = subprocess.run(
        ["sh", "-eu", "-c", BLOCKS[block]],
        env={**surroundings, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    # The tests' clusters are fast, not durable, and the doctor says so.
    if block != "check" or "durability" not in said:
        assert done.returncode == 0, said
    return said


async def test_the_copy_verifies_clean_and_the_work_goes_on_there(
    api: Api,
    server: Server,
    settings: Settings,
    elsewhere: EmbeddedPostgres,
    folder: Path,
    subscription_event: Callable[..., dict[str, Any]],
) -> None:
    await api.put("/api/v1/accounts/una", {"stripe_customer_id": "cus_1"})
    event = subscription_event("evt_1", "created", NOW)
    assert await api.deliver(event) == "applied"
    first = await api.spend("una", 3, "key-1")
    before = await api.account("una")
    old = {"DATABASE_OWNER_URL": server.owner_url, "DATABASE_URL": server.application_url}
    for block in ("dump", "export"):
        await asyncio.to_thread(run, block, {**old, "BACKUP": str(folder)})
    assert '"sha256":' in (folder / "ledger.ndjson").read_text().splitlines()[-1]

    admin = {
        "ADMIN_URL": elsewhere.superuser_url,
        "OWNER_PASSWORD": "owner-word",
        "APPLICATION_PASSWORD": "app-word",
    }
    new = {
        "DATABASE_OWNER_URL": elsewhere.owner_url,
        "DATABASE_URL": elsewhere.application_url,
        "BACKUP": str(folder),
        "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secrets[0],
        "TALLYBOOK_KEY_PEPPER": settings.key_pepper,
        "TALLYBOOK_ENV": "development",
    }
    await asyncio.to_thread(run, "roles", admin)
    said = await asyncio.to_thread(run, "restore", new)
    assert "migrated" not in said
    said = await asyncio.to_thread(run, "check", new)
    failed = re.findall(r"\tfail\t", said)
    assert len(failed) == 1, "only that the cluster is not durable"

    said = await asyncio.to_thread(run, "ids", new)
    assert "epoch is 2" in said
    await asyncio.to_thread(run, "export", {**new, "BACKUP": str(folder)})
    ending = (folder / "ledger.ndjson").read_text().splitlines()[-1]
    assert '"epoch":2' in ending

    async with open_database(elsewhere.application_url) as copy:
        await works_on(copy, api, settings, event, first, before)
    assert await shape(elsewhere.owner_url) == await shape(server.owner_url)


async def works_on(
    copy: Database,
    api: Api,
    settings: Settings,
    event: dict[str, Any],
    first: Any,
    before: dict[str, Any],
) -> None:
    theirs = replace(settings, database_url=copy.url)
    async with open_api(copy, theirs, api.tokens) as restored:
        assert await restored.account("una") == before, "old keys are good, balances the same"
        replayed = await restored.spend("una", 3, "key-1")
        assert replayed.json() == first.json()
        assert replayed.headers["Idempotency-Replayed"] == "true"
        assert await restored.deliver(event) == "duplicate"
        new = await restored.spend("una", 1, "key-2")
        assert new.json()["balance"] == first.json()["balance"] - 1
        assert new.json()["id"] > first.json()["id"]
        handed_out = await copy.fetchval("SELECT max(id) FROM entries WHERE id < 1000000000")
        assert await copy.fetchval("SELECT max(id) FROM entries") > handed_out + 999_999_999
        await fold(copy, Catalogues(), 5.0)
        assert await copy.fetchval(
            "SELECT (SELECT entry_id FROM usage_fold) = (SELECT max(id) FROM entries)"
        ), "the fold goes over the gap at once"
    assert await differences(copy) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await copy.execute("UPDATE entries SET amount = 1")


async def shape(url: str) -> list[tuple[Any, ...]]:
    """Triggers, constraints (which a dump puts into other parentheses), functions and grants."""
    connection = await asyncpg.connect(url)
    try:
        return [
            tuple(row)
            for row in await connection.fetch(
                """SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid)
                     FROM pg_trigger WHERE NOT tgisinternal
                   UNION ALL SELECT 'constraint', conrelid::regclass::text,
                       conname || regexp_replace(pg_get_constraintdef(oid), '[()]', '', 'g')
                     FROM pg_constraint WHERE connamespace = 'public'::regnamespace
                   UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes
                    WHERE schemaname = 'public'
                   UNION ALL SELECT 'function', proname, prosrc FROM pg_proc
                    WHERE pronamespace = 'public'::regnamespace
                   UNION ALL SELECT 'grant', table_name || ' ' || grantee, privilege_type
                     FROM information_schema.role_table_grants WHERE table_schema = 'public'
                   ORDER BY 1, 2, 3"""
            )
        ]
    finally:
        await connection.close()


def test_every_block_of_the_page_is_run() -> None:
    assert set(BLOCKS) == {"dump", "export", "roles", "restore", "check", "ids"}
    assert PAGE.count("```sh") == len(BLOCKS)
