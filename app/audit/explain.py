"""Explain a balance: what is left of each lot, and the journals and events that explain it.

The present is read from the lots as posted, an earlier instant from the entries up to then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit.balance import BalanceAsOf, balance
from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.errors import AccountUnknownError
from app.infrastructure import sql
from app.infrastructure.clock import NEVER
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, LotNumber

if TYPE_CHECKING:
    from app.audit import row_types
    from app.tables.row_types import LotsRow


ENTRIES_PER_LOT_MAX: Final = 1_000
ENTRIES_MAX: Final = 10_000  # over all lots, so that many lots do not make the answer too large

_SQL: Final[row_types.ExplainSql] = sql.beside(__file__)


class Behind(msgspec.Struct, frozen=True):
    """Entries, newest first; ``truncated`` if older ones are left out."""

    entries: Sequence[Record]
    truncated: bool


class ExplainedLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot that is not empty: the free and held amounts are the sums of its entries."""

    number: LotNumber
    source: str
    free: int
    held: int
    granted_at: datetime
    expires_at: datetime
    behind: Behind


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """The balance, as posted if ``as_of`` is None: free and held are the sums of the lots."""

    as_of: datetime | None
    free: int
    held: int
    debt: int
    lots: list[ExplainedLot]
    owed: Behind


async def explain(
    database: Database, horizons: Horizons, public_id: str, as_of: datetime | None
) -> Explained:
    """Explain the account of an application's or a customer's id.

    Raises AccountUnknownError, and BeyondHorizonError if ``as_of`` is not yet complete.
    """
    stood = None if as_of is None else await balance(database, horizons, public_id, as_of)
    async with database.snapshot():
        numbers = list(await account_numbers(database, public_id))
        if not numbers:
            raise AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)
        free, held, debt = await _sides(database, numbers, stood)
        lots = await _lots(database, numbers, as_of)
        # Not asked without debt: all of the account's entries would be read for what is not there.
        owed = await _behind_debt(database, numbers, as_of) if debt else []
    return Explained(
        as_of=as_of,
        free=free,
        held=held,
        debt=debt,
        lots=lots,
        owed=_behind(owed, ENTRIES_PER_LOT_MAX),
    )


async def _sides(
    database: Database, numbers: Sequence[AccountNumber], stood: BalanceAsOf | None
) -> tuple[int, int, int]:
    if stood is not None:
        return stood.free, stood.held, stood.debt
    posted = await database.fetchrow(_SQL["sides"](account_ids=numbers))
    assert posted is not None
    return posted["free"], posted["held"], posted["debt"]


async def _behind_debt(
    database: Database, numbers: Sequence[int], as_of: datetime | None
) -> list[row_types.ExplainBehindLots]:
    until, limit = as_of or NEVER, ENTRIES_PER_LOT_MAX + 1
    return await database.fetch(_SQL["behind_debt"](account_ids=numbers, until=until, limit=limit))


async def _lots(
    database: Database, numbers: Sequence[AccountNumber], as_of: datetime | None
) -> list[ExplainedLot]:
    rows: list[LotsRow] | list[row_types.ExplainLotsAsOf]
    if as_of is None:
        rows = await database.fetch(_SQL["lots"](account_ids=numbers))
    else:
        rows = await database.fetch(_SQL["lots_as_of"](account_ids=numbers, as_of=as_of))
    limit = min(ENTRIES_PER_LOT_MAX, max(1, ENTRIES_MAX // max(1, len(rows))))
    entries: dict[int, list[Record]] = {row["id"]: [] for row in rows}
    behind = _SQL["behind_lots"](lot_ids=list(entries), until=as_of or NEVER, limit=limit + 1)
    for entry in await database.fetch(behind):
        entries[entry["lot_id"]].append(entry)
    return [_lot(row, _behind(entries[row["id"]], limit)) for row in rows]


def _behind(entries: Sequence[row_types.ExplainBehindLots], limit: int) -> Behind:
    newest = sorted(entries, key=lambda entry: -entry["id"])
    return Behind(newest[:limit], truncated=len(newest) > limit)


def _lot(row: row_types.ExplainLotsAsOf, behind: Behind) -> ExplainedLot:
    return ExplainedLot(
        number=row["id"],
        source=row["source"],
        free=row["free"],
        held=row["held"],
        granted_at=row["granted_at"],
        expires_at=row["expires_at"],
        behind=behind,
    )
