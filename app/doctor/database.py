"""The database: server, settings, clock, migrations, structure."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from app.doctor.finding import Finding, fail, ok, ok_or_fail, warn
from app.doctor.surroundings import Surroundings
from app.errors import ConfigurationError
from app.infrastructure import clock, migrations, variables
from app.infrastructure.checked_database import server_faults, setting_faults
from app.infrastructure.db import Database
from app.operators.keys import DEVELOPMENT_IDS, is_pepper
from app.spending import queue, turns
from app.tables.clock_and_catalogues import DevClock
from app.tables.keys_and_operators import ApiKeys
from app.verify.verify import verify_structure

POOL_SIZE: Final = 16
OF_SPENDS: Final = queue.CONNECTIONS + turns.CONNECTIONS
SKEW_SECONDS_WARN: Final = 2.0
SKEW_SECONDS_MAX: Final = 30.0  # a tenth of the age that a webhook's signature may have


async def findings(database: Database, around: Surroundings) -> list[Finding]:
    """Check what the schema must be before anybody relies on it."""
    return [
        await server(database),
        await _settings(database),
        await _clock(database),
        await _set_clock(database, around),
        await _pepper(database, around),
        await _migrations(database),
        await _structure(database),
        await _durability(database),
        await _connections(database, around),
        await _development_keys(database, around),
    ]


async def server(database: Database) -> Finding:
    """Judge the server: a plain PostgreSQL, new enough, and not a standby."""
    wrong = await server_faults(database)
    said = f"PostgreSQL {await database.fetchval('SHOW server_version')}"
    return ok_or_fail("PostgreSQL", wrong, said, "use a primary server of PostgreSQL 15 or later")


async def _settings(database: Database) -> Finding:
    wrong = await setting_faults(database)
    return ok_or_fail("session settings", wrong, "as pinned", "tallybook migrate")


async def _clock(database: Database) -> Finding:
    before = time.time()
    theirs = float(await database.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
    return of_skew(theirs - (before + time.time()) / 2)


def of_skew(skew_s: float) -> Finding:
    """Judge how far the database's clock is ahead of this machine's."""
    said = f"the database's clock is {skew_s:+.2f} s from this machine's"
    remedy = "run a time daemon on both; days and deadlines go by the database's clock"
    if abs(skew_s) > SKEW_SECONDS_MAX:
        return fail("clocks", said, remedy)
    return warn("clocks", said, remedy) if abs(skew_s) > SKEW_SECONDS_WARN else ok("clocks", said)


async def _set_clock(database: Database, around: Surroundings) -> Finding:
    was_set = await database.run(DevClock.exists())
    if around.read("TALLYBOOK_ENV") == "development":
        now, ahead = await clock.ahead(database)
        if was_set and abs(ahead) > timedelta(minutes=1):
            way = "ahead of" if ahead > timedelta(0) else "behind"
            said = f"is at {now:%Y-%m-%d %H:%M} UTC, {abs(ahead).days} days {way} the world's"
            return warn("book's clock", said, "use another --data-dir for a book of the present")
        return ok(
            "book's clock", "was set, which development allows" if was_set else "is the database's"
        )
    if was_set:
        said = "was set in development: this book's days are not real days"
        return fail("book's clock", said, "start production with a database of its own")
    role = await database.fetchval(
        """SELECT current_user::text WHERE has_any_column_privilege('dev_clock', 'INSERT')
                                        OR has_any_column_privilege('dev_clock', 'UPDATE')"""
    )
    if role is not None:
        said = f"{role} may set it, and with it every day and deadline"
        return fail("book's clock", said, f"REVOKE tallybook_clock FROM {role}")
    return ok("book's clock", "is the database's clock, and nobody may set it")


async def _migrations(database: Database) -> Finding:
    try:
        await migrations.refuse_unreleased(database)
    except ConfigurationError as error:
        return fail("migrations", error.detail, "a new database")
    missing = await migrations.missing(database)
    if missing:
        return fail("migrations", f"missing: {', '.join(missing)}", "tallybook migrate")
    applied = await migrations.applied(database)
    newer = sorted(applied - {*migrations.known()})
    if newer:
        return warn(
            "migrations", f"the database is ahead of this program: {', '.join(newer)}",
            "this is fine during an upgrade; else install the newer version",
        )  # fmt: skip
    return ok("migrations", f"all {len(applied)} are applied")


async def _structure(database: Database) -> Finding:
    checks = await verify_structure(database)
    wrong = [text for check in checks for text in check.differences]
    said = f"{checks[0].rows} objects are defined as they were shipped"
    remedy = "restore them as piccolo_migrations/schema has them, then find out who changed them"
    if wrong and await migrations.applied(database) - {*migrations.known()}:
        return warn(
            "structure",
            "the database is ahead of this program",
            "use the newer version's `tallybook doctor`",
        )
    return ok_or_fail("structure", wrong, said, remedy)


async def _development_keys(database: Database, around: Surroundings) -> Finding:
    """Find keys that `tallybook up` made: their secrets are in a file of the folder it ran in."""
    if around.read("TALLYBOOK_ENV") == "development":
        return ok("development keys", "keys of `tallybook up` are allowed in development")
    good = ApiKeys.revoked_at.is_null() & ApiKeys.id.is_in(sorted(DEVELOPMENT_IDS))
    found = [row["id"] for row in await database.run(ApiKeys.select(ApiKeys.id).where(good))]
    if found:
        said = f"`tallybook up` made {', '.join(sorted(found))} in this book"
        remedy = "; ".join(f"tallybook keys revoke {one}" for one in sorted(found))
        return fail("development keys", said, remedy)
    return ok("development keys", "no key of `tallybook up` is valid in this book")


async def _pepper(database: Database, around: Surroundings) -> Finding:
    pepper = around.read("TALLYBOOK_KEY_PEPPER")
    if pepper is None or await is_pepper(database, pepper):
        return ok("pepper", "is the one of this book's keys" if pepper else "is not known here")
    said = "TALLYBOOK_KEY_PEPPER is not the one with which this book's keys were made"
    return fail("pepper", said, "give every server and `keys` the same, else all keys are refused")


async def _connections(database: Database, around: Surroundings) -> Finding:
    """Check whether one more server process would find room for its connections, as in a
    rollout.
    """
    told = await database.fetchrow(
        """SELECT current_setting('max_connections')::integer
                  - current_setting('superuser_reserved_connections')::integer AS room,
                  (SELECT sum(numbackends)::integer FROM pg_stat_database) AS used"""
    )
    assert told is not None
    name = "TALLYBOOK_POOL_SIZE_MAX"
    of_book = variables.number(around.read(name), name, [], 1, POOL_SIZE) + OF_SPENDS
    more = of_book * (1 + len(variables.parts_of(around.read("TALLYBOOK_BOOKS"))))
    said = f"{told['used']} of {told['room']} are in use; a server process opens up to {more}"
    if told["used"] + more > told["room"]:
        remedy = f"raise max_connections, or lower {name}; see ops/scale.md"
        return warn("connections", said, remedy)
    return ok("connections", said)


async def _durability(database: Database) -> Finding:
    """Check PostgreSQL's settings of durability: an acknowledged write must be on disk."""
    names = ("fsync", "full_page_writes", "synchronous_commit")
    off = [name for name in names if await database.fetchval(f"SHOW {name}") == "off"]
    return ok_or_fail(
        "durability", [f"{name} is off" for name in off], "a commit waits for the disk",
        "set it on: acknowledged spends and events are lost otherwise",
    )  # fmt: skip
