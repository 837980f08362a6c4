"""A hot standby knows no horizon: its pg_locks shows no writer of the primary."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.audit.horizon import Horizons
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords, find_binaries
from app.embedded.program import Guard
from app.errors import BusyError, ConfigurationError
from app.infrastructure import migrations
from app.infrastructure.checked_database import checked
from app.infrastructure.db import Database
from tests.conftest import open_database


@pytest.fixture
async def standby_url(folder: Path) -> AsyncIterator[str]:
    """The application's URL on a hot standby of a migrated server."""
    passwords = Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)
    primary = EmbeddedPostgres(folder / "primary", free_port(), passwords, {})
    standby = EmbeddedPostgres(folder / "standby", free_port(), passwords, {})
    with Guard(f"standby {folder}") as watcher:
        try:
            primary.start(watcher)
            await asyncio.to_thread(primary.ready, 30)
            await migrations.migrate(primary.owner_url, {"DATABASE_URL": primary.application_url})
            copy = folder / "standby" / "postgres"
            copy.parent.mkdir(mode=0o700)
            await asyncio.to_thread(
                subprocess.run,
                [
                    find_binaries() / "pg_basebackup",
                    *("-d", primary.superuser_url, "-D", copy),
                    *("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
                ],
                check=True,
                capture_output=True,
            )
            standby.start(watcher)
            await asyncio.to_thread(standby.ready, 30)
            yield standby.application_url
        finally:
            standby.stop()
            primary.stop()


async def test_a_standby_is_refused_for_reports_and_for_a_start(standby_url: str) -> None:
    async with open_database(standby_url, 1) as database:
        with pytest.raises(BusyError, match="standby and knows no horizon: ask the primary"):
            await Horizons().find(database)
    with pytest.raises(ConfigurationError, match="standby, which takes no writes"):
        async with checked(Database(standby_url)):
            pass
