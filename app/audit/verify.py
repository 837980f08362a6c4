"""Verify: recompute lots, holds and balances from entries alone, and check every invariant."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec

from app.audit.checks import CHECKS, STRUCTURE
from app.db import Database

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
    return [check async for check in _run(database, STRUCTURE)]


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
