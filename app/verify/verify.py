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
    """One invariant, the number of rows checked, and the violations."""

    name: str
    rows: int
    differences: list[str]


async def verify(database: Database) -> list[Check]:
    """Run every check on one snapshot of the whole ledger, and return them."""
    return [check async for check in verifying(database)]


async def verify_structure(database: Database) -> list[Check]:
    """Run only the checks of the schema, which do not depend on the data."""
    return [check async for check in _run(database, tuple(STRUCTURE))]


def verifying(database: Database) -> AsyncGenerator[Check, None]:
    """Run every check like `verify`, yielding each as it ends: a large ledger takes minutes.

    Use a database with patient limits. The caller closes the generator if it stops early.
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
    """Store the result of a whole verification, for the metrics and for later questions.

    An auditor's own login may not write, and a replica cannot: their result is not stored.
    """
    with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
        await database.execute(
            """INSERT INTO verifications (finished_at, check_count, row_count, difference_count)
               VALUES (clock_timestamp(), $1, $2, $3)""",
            len(checks),
            sum(check.rows for check in checks),
            sum(len(check.differences) for check in checks),
        )
