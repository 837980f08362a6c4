"""Verify: recompute lots, holds and balances from entries alone, and check every invariant."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final

import asyncpg
import msgspec

from app.infrastructure.db import Database
from app.verify.checks import CHECKS
from app.verify.derived import DERIVED, Finding
from app.verify.structure import STRUCTURE

DIFFERENCES_MAX: Final = 20
ALL: Final = (*CHECKS, *DERIVED)


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
    return _run(database, ALL)


async def _run(database: Database, names: Sequence[str]) -> AsyncGenerator[Check, None]:
    async with database.snapshot():
        await database.execute("SET LOCAL statement_timeout = 0")
        for name in names:
            counting, finding = CHECKS[name] if name in CHECKS else DERIVED[name]
            count = await database.fetchval(counting)
            yield Check(name, count, await _found(database, finding))


async def _found(database: Database, finding: str | Finding) -> list[str]:
    if isinstance(finding, str):
        return [row[0] for row in await database.fetch(f"{finding} LIMIT {DIFFERENCES_MAX}")]
    found: list[str] = []
    async with aclosing(finding(database)) as texts:
        async for text in texts:
            found.append(text)
            if len(found) == DIFFERENCES_MAX:
                break
    return found


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
