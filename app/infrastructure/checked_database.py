"""Open the database of a server or worker, and refuse one that it must not use."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from app.errors import ConfigurationError
from app.infrastructure import migrations, sql
from app.infrastructure.db import Database
from app.infrastructure.pins import pins_of

if TYPE_CHECKING:
    from app.infrastructure import row_types


VERSION_MIN: Final = 150_000
# "PostgreSQL 18.4 on …" and "PostgreSQL 17.5 (Debian 17.5-1.pgdg120+1) on …", but neither
# "PostgreSQL 15.2-YB-2.25.1.0-b0 on …" nor "CockroachDB CCL v25.2.0 (…)".
_PLAIN: Final = re.compile(r"PostgreSQL \d+(\.\d+)*((devel|beta|rc)\d*)?( \([^)]*\))? on ")
_OTHERS: Final = re.compile(
    r"cloudberry|cockroach|crate|edb|enterprisedb|greenplum|hologres|materialize|opengauss|polardb"
    r"|questdb|redshift|risingwave|yugabyte",
    re.IGNORECASE,
)
# Settings that only a superuser may change, hence no login of ours can pin them, or of which more
# than one value is right (`synchronous_commit`), with what is wrong with the others.
_WRONG: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "session_replication_role": (frozenset({"replica"}), "no trigger fires"),
    "synchronous_commit": (frozenset({"off"}), "acknowledged writes are lost in a crash"),
    "zero_damaged_pages": (frozenset({"on"}), "damaged pages lose their rows without an error"),
    "ignore_checksum_failure": (frozenset({"on"}), "damaged pages are read as if they were whole"),
}
_SQL: Final[row_types.CheckedDatabaseSql] = sql.beside(__file__)


@asynccontextmanager
async def checked(database: Database) -> AsyncIterator[None]:
    """Keep the database open for a block.

    Raises ConfigurationError if it does not answer, if an unreleased version made it, or if its
    server or its settings are none that correctness can rest on.
    """
    try:
        await database.open()
    except (OSError, TimeoutError) as error:
        raise ConfigurationError(
            f"The database of DATABASE_URL does not answer: {error}."
        ) from error
    try:
        faults = await server_faults(database) or await setting_faults(database)
        if faults:
            raise ConfigurationError(" ".join(faults))
        await migrations.refuse_unreleased(database)
        yield
    finally:
        await database.close()


async def server_faults(database: Database) -> list[str]:
    """Say in a sentence each why Tallybook must not use this server; [] if it may."""
    server = await database.fetchrow(_SQL["server"]())
    assert server is not None
    return judge_server(**server)


def judge_server(
    *,
    version: str,
    version_number: int,
    in_recovery: bool,
    encoding: str,
    shows_virtual_transactions: bool,
) -> list[str]:
    """Say what is wrong with the server of this description."""
    if not _PLAIN.match(version) or _OTHERS.search(version) or not shows_virtual_transactions:
        return [
            f"This server is no plain PostgreSQL ({version[:60]}): its locks and snapshots differ, "
            "and balances would be wrong. Use PostgreSQL."
        ]
    faults = []
    if version_number < VERSION_MIN:
        faults.append(f"This is {version.partition(' on ')[0]}: use PostgreSQL 15 or later.")
    if in_recovery:
        faults.append("This server is a standby, which takes no writes: name the primary.")
    if encoding != "UTF8":
        faults.append(f"The database's encoding is {encoding}: create it with ENCODING 'UTF8'.")
    return faults


async def setting_faults(database: Database) -> list[str]:
    """Say in a sentence each what is wrong with the settings of the database's sessions."""
    pins = pins_of(database.url)
    async with database.transaction() as one:
        rows = await one.connection.fetch(*_SQL["settings"](names=[*pins, *_WRONG]))
        # A pooler tells its clients other process ids than the server's. What one client sets
        # stays on one of its many connections: only what a session begins with counts there.
        pooled = rows[0]["backend_pid"] != one.connection.get_server_pid()
    settings = {row["name"]: row["reset_val" if pooled else "setting"] for row in rows}
    faults = [
        f"{name} is {settings[name]!r} in this database's sessions, and must be {wanted!r}: "
        "run `tallybook migrate`, which sets it for the logins of the service."
        for name, wanted in pins.items()
        if settings[name] != wanted
    ]
    return faults + [
        f"{name} is {settings[name]!r} in this database's sessions: {harm}. Take that setting from "
        "the role, the database or the server."
        for name, (values, harm) in _WRONG.items()
        if settings[name] in values
    ]
