"""A server whose kind or settings would make balances wrong is refused with a sentence."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.errors import ConfigurationError
from app.infrastructure import clock, migrations
from app.infrastructure.checked_database import checked, judge_server, setting_faults
from app.infrastructure.db import Database
from app.infrastructure.pins import PINS
from app.infrastructure.settings import Settings
from tests.acts import Acts
from tests.api_client import open_api
from tests.conftest import NOW, Server, open_database
from tests.money_events import make_refund_event, make_session_event

# A value that another program on the same server may well want.
OTHERS = {
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "search_path": "elsewhere",
    "TimeZone": "America/New_York",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "row_security": "on",
    "quote_all_identifiers": "on",
}


@pytest.fixture
async def login(server: Server, superuser: asyncpg.Connection) -> AsyncIterator[str]:
    """The URL of a login of the test's own: what is set for it is set for no other test."""
    name = f"login_{secrets.token_hex(4)}"
    await superuser.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD 'secret'; GRANT tallybook_app TO {name}"
    )
    url = urlsplit(server.application_url)
    yield urlunsplit(url._replace(netloc=f"{name}:secret@{url.netloc.rpartition('@')[2]}"))
    await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


BACKEND_KEY = re.compile(rb"(K\x00\x00\x00\x0c)....", re.DOTALL)  # it begins with the process id


@asynccontextmanager
async def pooler(url: str) -> AsyncIterator[str]:
    """A URL that leads there by a pooler, which drops all that a client asks for at its start.

    PgBouncer does so with what is in its ignore_startup_parameters. As it does, this one tells its
    client another process id than the server's.
    """
    parts = urlsplit(url)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(BACKEND_KEY.sub(rb"\g<1>POOL", data))
                await writer.drain()
        writer.close()

    async def serve(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await client.readexactly(4))
        while size == 8:  # a request for TLS
            await client.readexactly(4)
            answers.write(b"N")
            size = int.from_bytes(await client.readexactly(4))
        words = (await client.readexactly(size - 4))[4:].split(b"\0")
        told = dict(zip(words[::2], words[1::2], strict=False))
        kept = b"".join(b"%s\0%s\0" % (name, told[name]) for name in (b"user", b"database"))
        begin = (196_608).to_bytes(4) + kept + b"\0"
        server, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write((len(begin) + 4).to_bytes(4) + begin)
        await asyncio.gather(copy(client, writer), copy(server, answers))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield urlunsplit(
            parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}")
        )
    finally:
        listening.close()


async def set_otherwise(server: Server, superuser: asyncpg.Connection, login: str) -> None:
    """Set every pinned setting to another value, for the database and for the login."""
    for name, value in OTHERS.items():
        await superuser.execute(f"ALTER DATABASE {server.name} SET {name} TO '{value}'")
        await superuser.execute(f"ALTER ROLE {urlsplit(login).username} SET {name} TO '{value}'")


def test_each_pin_is_tried_below() -> None:
    assert OTHERS.keys() == PINS.keys()
    assert [name for name in PINS if OTHERS[name] == PINS[name]] == []


async def test_a_connection_begins_with_the_pinned_settings_whatever_the_database_says(
    server: Server, superuser: asyncpg.Connection, login: str
) -> None:
    await set_otherwise(server, superuser, login)
    async with open_database(login) as database:
        assert await setting_faults(database) == []


async def test_behind_a_pooler_each_setting_that_differs_stops_the_start_until_migrate_pins_it(
    server: Server, superuser: asyncpg.Connection, login: str
) -> None:
    await set_otherwise(server, superuser, login)
    async with pooler(login) as url:
        async with open_database(url) as database:
            faults = await setting_faults(database)
        named = [fault.split(" ")[0] for fault in faults]
        assert sorted(named) == sorted(PINS)
        with pytest.raises(
            ConfigurationError, match=r"must be 'read committed'.*tallybook migrate"
        ):
            async with checked(Database(url)):
                pass
        await migrations.migrate(server.owner_url, {"DATABASE_URL": login})
        async with checked(Database(url)):
            pass


async def test_a_full_refund_beside_its_session_keeps_nothing_whatever_isolation_is_the_default(
    server: Server, superuser: asyncpg.Connection, settings: Settings
) -> None:
    await superuser.execute(
        f"ALTER DATABASE {server.name} SET default_transaction_isolation TO 'repeatable read'"
    )
    async with open_database(server.application_url) as database:
        await clock.stand(database, NOW)
        async with open_api(database, settings) as api:
            told = []
            for n in range(8):
                names = {"session": f"cs_{n}", "intent": f"pi_{n}", "customer": f"cus_{n}"}
                told.append(make_session_event(f"evt_s{n}", NOW, **names))
                told.append(
                    make_refund_event(
                        f"evt_r{n}",
                        NOW,
                        1_000,
                        refund=f"re_{n}",
                        intent=f"pi_{n}",
                        charge=f"ch_{n}",
                    )
                )
            await asyncio.gather(*(api.deliver(event) for event in told))
            sides = [await Acts(api, f"cus_{n}").sides() for n in range(8)]
    assert sides == [(5, 0, 0)] * 8


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("session_replication_role", "replica", "no trigger fires"),
        ("synchronous_commit", "off", "lost in a crash"),
        ("zero_damaged_pages", "on", "lose their rows"),
        ("ignore_checksum_failure", "on", "as if they were whole"),
    ],
)
async def test_a_setting_that_no_login_can_pin_stops_the_start(
    server: Server, superuser: asyncpg.Connection, name: str, value: str, sentence: str
) -> None:
    await superuser.execute(f"ALTER DATABASE {server.name} SET {name} TO '{value}'")
    with pytest.raises(ConfigurationError, match=f"^{name} is '{value}'.*{sentence}"):
        async with checked(Database(server.application_url)):
            pass


async def test_a_start_refuses_a_server_that_calls_itself_something_else(
    server: Server, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        """CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql
           AS $$ SELECT 'PostgreSQL 15.2-YB-2.25.1.0-b0 on x86_64-pc-linux-gnu' $$"""
    )
    with pytest.raises(ConfigurationError, match=r"no plain PostgreSQL.*15\.2-YB"):
        async with checked(Database(server.application_url)):
            pass


def judged(
    version: str = "PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc",
    *,
    number: int = 180_004,
    standby: bool = False,
    encoding: str = "UTF8",
    shown: bool = True,
) -> str:
    return " ".join(
        judge_server(
            version=version,
            version_number=number,
            in_recovery=standby,
            encoding=encoding,
            shows_virtual_transactions=shown,
        )
    )


@pytest.mark.parametrize(
    "version",
    [
        "PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc (GCC) 10.2.1 20210130, 64-bit",
        "PostgreSQL 17.5 (Debian 17.5-1.pgdg120+1) on x86_64-pc-linux-gnu, compiled by gcc",
        "PostgreSQL 16.9 (Ubuntu 16.9-0ubuntu0.24.04.1) on aarch64-unknown-linux-gnu",
        "PostgreSQL 15.13 (Homebrew) on aarch64-apple-darwin23.6.0, compiled by Apple clang",
        "PostgreSQL 19beta1 on x86_64-pc-linux-gnu, compiled by gcc",
        "PostgreSQL 17.4 on aarch64-unknown-linux-gnu, compiled by aarch64-unknown-linux-gnu-gcc",
    ],
)
def test_plain_postgresql_is_taken(version: str) -> None:
    assert judged(version) == ""


@pytest.mark.parametrize(
    "version",
    [
        "PostgreSQL 11.2-YB-2.18.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang, 64-bit",
        "CockroachDB CCL v25.2.0 (x86_64-pc-linux-gnu, built 2025/06/09, go1.23.7)",
        "PostgreSQL 13.14.0-RisingWave-2.4.0 (unknown)",
        "PostgreSQL 12.12 (Greenplum Database 7.1.0 build commit:e7c2b1f) on x86_64-pc-linux-gnu",
        "PostgreSQL 14.4 (Cloudberry Database 1.5.0 build 1) on x86_64-pc-linux-gnu",
        "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.1",
        "PostgreSQL 15.4 (EnterpriseDB Advanced Server 15.4.1) on x86_64-pc-linux-gnu",
        "PostgreSQL 9.5.0 on x86_64-unknown-linux-gnu (Materialize v0.147.0)",
        "PostgreSQL 14.9 (PolarDB 14.9.9.0 build 0d3a) on x86_64-linux-gnu",
    ],
)
def test_a_relative_of_postgresql_is_refused(version: str) -> None:
    assert judged(version).startswith(f"This server is no plain PostgreSQL ({version[:20]}")


def test_a_server_that_hides_virtual_transactions_is_refused() -> None:
    assert "no plain PostgreSQL" in judged(shown=False)


def test_old_servers_standbys_and_other_encodings_are_refused() -> None:
    old = judged("PostgreSQL 14.11 (Debian 14.11-1) on x86_64-pc-linux-gnu", number=140_011)
    assert old == "This is PostgreSQL 14.11 (Debian 14.11-1): use PostgreSQL 15 or later."
    assert judged(number=150_000) == ""
    assert "name the primary" in judged(standby=True)
    assert "The database's encoding is SQL_ASCII" in judged(encoding="SQL_ASCII")
