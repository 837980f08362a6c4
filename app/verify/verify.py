"""Verify: recompute lots, holds and balances from entries alone, and check every invariant."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
import msgspec

from app.infrastructure.db import Database
from app.verify.checks import CHECKS
from app.verify.structure import STRUCTURE

DIFFERENCES_MAX: Final = 20


class Check(msgspec.Struct, frozen=True):
    """One invariant, how many rows it looked at, and where it does not hold."""

    name: str
    rows: int
    differences: list[str]


async def verify(database: Database) -> list[Check]:
    """Every check, over one snapshot of the whole ledger."""
    return [check async for check in verifying(database)]


async def verify_structure(database: Database) -> list[Check]:
    """Only the checks that hold of the schema, whatever stands in it."""
    return [check async for check in _run(database, tuple(STRUCTURE))]


def verifying(database: Database) -> AsyncGenerator[Check, None]:
    """The same as `verify`, each check as it is done: a large ledger takes minutes.

    The database should be a patient one. The caller closes what it does not read to the end.
    """
    return _run(database, tuple(CHECKS))


async def _run(database: Database, names: Sequence[str]) -> AsyncGenerator[Check, None]:
    async with database.snapshot():
        await database.execute("SET LOCAL statement_timeout = 0")
        for name in names:
            counting, finding = CHECKS[name]
            count = await database.fetchval(counting)
            found = await database.fetch(f"{finding} LIMIT {DIFFERENCES_MAX}")
            yield Check(name, count, [row[0] for row in found])


async def store_verdict(database: Database, checks: Sequence[Check]) -> None:
    """Keep what a whole verification came to, for the metrics and for who asks later.

    An auditor's own login may not write, and a replica cannot: their verdict is not kept.
    """
    with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
        await database.execute(
            """INSERT INTO verifications (finished_at, check_count, row_count, difference_count)
               VALUES (clock_timestamp(), $1, $2, $3)""",
            len(checks),
            sum(check.rows for check in checks),
            sum(len(check.differences) for check in checks),
        )
