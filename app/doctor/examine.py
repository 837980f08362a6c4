"""Run every check in the order of the rollout; a check that cannot be made is a finding too."""

from __future__ import annotations

from typing import Final

import asyncpg

from app.doctor import database as schema
from app.doctor import outside, replica, roles, secrecy, work
from app.doctor.finding import Finding, Level, fail
from app.doctor.surroundings import Surroundings
from app.errors import TallybookError
from app.infrastructure.books import in_book
from app.infrastructure.db import Database, opened

_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def examine(around: Surroundings) -> list[Finding]:
    """Return all findings; raise nothing for a check that fails."""
    try:
        found = secrecy.findings(around)
    except TallybookError as error:  # a NAME_FILE that cannot be read
        return [fail("settings", error.detail, "correct it, then run this again")]
    found += await _of_database(around)
    found.append(await work.of_redis(around))
    return found + await outside.findings(around)


async def _of_database(around: Surroundings) -> list[Finding]:
    url = around.read("DATABASE_URL")
    if url is None:
        return []  # the settings' finding says it already
    try:
        async with opened(in_named_book(around, url)) as database:
            found = await _of_book(database, around)
            found += await _of_replica(database, around)
        return found + await _of_reader(around)
    except _AWAY as error:
        said = f"cannot be asked: {type(error).__name__}: {error}"
        return [fail("database", said, "look at DATABASE_URL, DATABASE_READ_URL and the server")]


async def _of_book(database: Database, around: Surroundings) -> list[Finding]:
    if not await database.fetchval("SELECT to_regclass('dev_clock') IS NOT NULL"):
        server = await schema.server(database)
        return [server, fail("migrations", "this is an empty database", "tallybook migrate")]
    member = await roles.membership(database)
    if member.level is Level.FAIL:
        return [await schema.server(database), member]  # it may not ask what the other checks ask
    found = await schema.findings(database, around)
    found += [member, *await roles.findings(database)]
    return found + await work.findings(database, around)


async def _of_replica(database: Database, around: Surroundings) -> list[Finding]:
    url = around.read("DATABASE_REPLICA_URL")
    if url is None:
        return []
    try:
        async with opened(in_named_book(around, url)) as there:
            return await replica.findings(database, there)
    except _AWAY as error:
        said = f"cannot be asked: {type(error).__name__}: {error}"
        remedy = "look at DATABASE_REPLICA_URL and its server; the primary answers meanwhile"
        return [fail("replica", said, remedy)]


async def _of_reader(around: Surroundings) -> list[Finding]:
    url = around.read("DATABASE_READ_URL")
    if url is None:
        return []
    async with opened(in_named_book(around, url)) as database:
        return await roles.of_reader(database)


def in_named_book(around: Surroundings, url: str) -> str:
    """Return the address of the book that is examined."""
    return in_book(url, around.read("TALLYBOOK_BOOK"))
