"""Explain a balance: what is left of which lot, and the journals and events behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from app.audit.entries import account_numbers
from app.errors import AccountUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record

ENTRIES_PER_LOT_MAX: Final = 1_000
ENTRIES_MAX: Final = 10_000  # over all lots, so that many of them do not make an answer of any size

_SQL: Final = sql.beside(__file__)


class Behind(msgspec.Struct, frozen=True):
    """Entries, newest first; ``truncated`` where older ones are left out."""

    entries: Sequence[Record]
    truncated: bool


class ExplainedLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot with something left: the free and the held of its entries sum up to it."""

    number: int
    source: str
    free: int
    held: int
    granted_at: datetime
    expires_at: datetime
    behind: Behind


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """The balance as posted: free and held are those of the lots."""

    free: int
    held: int
    debt: int
    lots: list[ExplainedLot]
    owed: Behind


async def explain(database: Database, public_id: str) -> Explained:
    """The account of the application's or the customer's id; AccountUnknownError without one."""
    async with database.snapshot():
        numbers = list(await account_numbers(database, public_id))
        if not numbers:
            raise AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)
        sides = await database.fetchrow(*_SQL["sides"](account_ids=numbers))
        assert sides is not None
        lots = await _lots(database, numbers)
        owed = await database.fetch(
            *_SQL["behind_debt"](account_ids=numbers, limit=ENTRIES_PER_LOT_MAX + 1)
        )
    return Explained(
        free=sides["free"],
        held=sides["held"],
        debt=sides["debt"],
        lots=lots,
        owed=_behind(owed if sides["debt"] else [], ENTRIES_PER_LOT_MAX),
    )


async def _lots(database: Database, numbers: Sequence[int]) -> list[ExplainedLot]:
    rows = await database.fetch(*_SQL["lots"](account_ids=numbers))
    limit = min(ENTRIES_PER_LOT_MAX, max(1, ENTRIES_MAX // max(1, len(rows))))
    entries: dict[int, list[Record]] = {row["id"]: [] for row in rows}
    for entry in await database.fetch(*_SQL["behind_lots"](lot_ids=list(entries), limit=limit + 1)):
        entries[entry["lot_id"]].append(entry)
    return [_lot(row, _behind(entries[row["id"]], limit)) for row in rows]


def _behind(entries: Sequence[Record], limit: int) -> Behind:
    newest = sorted(entries, key=lambda entry: -entry["id"])
    return Behind(newest[:limit], truncated=len(newest) > limit)


def _lot(row: Record, behind: Behind) -> ExplainedLot:
    return ExplainedLot(
        number=row["id"],
        source=row["source"],
        free=row["free"],
        held=row["held"],
        granted_at=row["granted_at"],
        expires_at=row["expires_at"],
        behind=behind,
    )
