"""A PostgreSQL with a hot standby that streams from it, for the length of a block."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from app.embedded.ports import free_port
from app.embedded.postgres import DATABASE, EmbeddedPostgres, Passwords, find_binaries
from app.embedded.program import Guard
from app.infrastructure import migrations
from tests.conftest import on_database

STANDBY: Final = "standby"  # its name in synchronous_standby_names
PASSWORDS: Final = Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)


@dataclass(frozen=True)
class Streaming:
    """The two servers; the primary is migrated."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres

    async def on_primary(self, statement: str) -> object:
        """The first value of a statement of the superuser's."""
        return await _value(self.primary.superuser_url, statement)

    async def on_standby(self, statement: str) -> object:
        """The same of the standby."""
        return await _value(self.standby.superuser_url, statement)

    async def wait_for_standby(self) -> None:
        """From now on no commit is acknowledged that the standby has not on its disk."""
        await self.on_primary(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
        await self.on_primary("SELECT pg_reload_conf()")
        stands = f"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{STANDBY}'"
        while await self.on_primary(stands) != "sync":
            await asyncio.sleep(0.02)


async def _value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(on_database(url, DATABASE))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def streaming(
    folder: Path, settings: Mapping[str, str] | None = None, environment: str = "production"
) -> AsyncIterator[Streaming]:
    """Start both below the folder; ``settings`` are both's."""
    primary = EmbeddedPostgres(folder / "primary", free_port(), PASSWORDS, settings)
    standby = EmbeddedPostgres(folder / "standby", free_port(), PASSWORDS, settings)
    with Guard(f"streaming {folder}") as watcher:
        try:
            primary.start(watcher)
            await asyncio.to_thread(primary.ready, 30)
            logins = {"DATABASE_URL": primary.application_url}
            await migrations.migrate(primary.owner_url, logins, environment)
            copy = folder / "standby" / "postgres"
            copy.parent.mkdir(mode=0o700)
            await asyncio.to_thread(
                subprocess.run,
                [
                    find_binaries() / "pg_basebackup",
                    *("-d", f"{primary.superuser_url}?application_name={STANDBY}", "-D", copy),
                    *("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
                ],
                check=True,
                capture_output=True,
            )
            standby.start(watcher)
            await asyncio.to_thread(standby.ready, 30)
            yield Streaming(primary, standby)
        finally:
            standby.stop()
            primary.stop()
