"""A durable PostgreSQL of the bench's own, in a folder that goes with it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.accounts import apply_catalogue
from app.allowance.catalogue import default_text
from app.book import Book
from app.embedded.ports import free_port
from app.embedded.postgres import OWNER, EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from app.infrastructure import migrations
from app.infrastructure.db import opened

START_S_MAX = 60
TEMPLATE = "ledger_template"
# fsync and synchronous_commit stay on. Fewer checkpoints: each would fall on one side of a ratio.
SETTINGS = {"max_wal_size": "8GB", "checkpoint_timeout": "1h"}


@dataclass(frozen=True)
class Server:
    """The running server: its folder, its guard, and how to reach it."""

    folder: Path
    guard: Guard
    superuser_url: str
    owner_url: str
    application_url: str


@dataclass(frozen=True)
class Ledger:
    """One migrated database."""

    application_url: str
    superuser_url: str


@contextmanager
def server() -> Iterator[Server]:
    """Runs for the length of the block; the guard ends it even where we are killed."""
    folder = Path(tempfile.mkdtemp(prefix="tallybook-bench-"))
    names = ("superuser", "owner", "application")
    passwords = Passwords(**{name: secrets.token_hex(16) for name in names})
    postgres = EmbeddedPostgres(folder, free_port(), passwords, settings=SETTINGS)
    try:
        with Guard(f"{folder}#") as guard:
            try:
                postgres.start(guard)
                postgres.ready(START_S_MAX)
                yield Server(
                    folder, guard,
                    postgres.superuser_url, postgres.owner_url, postgres.application_url,
                )  # fmt: skip
            finally:
                postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def make_ledger(server: Server, name: str) -> Ledger:
    """A database of this name with the schema and the shipped catalogue."""
    connection = await asyncpg.connect(server.superuser_url)
    try:
        made = "SELECT true FROM pg_database WHERE datname = $1"
        if not await connection.fetchval(made, TEMPLATE):
            await connection.execute(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
            await _migrate(server)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}")
    finally:
        await connection.close()
    return Ledger(_on(server.application_url, name), _on(server.superuser_url, name))


async def _migrate(server: Server) -> None:
    owner_url = _on(server.owner_url, TEMPLATE)
    logins = {"DATABASE_URL": _on(server.application_url, TEMPLATE)}
    await migrations.migrate(owner_url, logins, "development")  # the grants' clock is moved
    async with opened(owner_url) as database:
        await apply_catalogue.apply(Book(database), default_text(), "tiers.toml", "bench")


def _on(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
