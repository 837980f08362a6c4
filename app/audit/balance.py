"""An account's balance as the ledger stood at an instant, from its entries alone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit.entries import account_numbers
from app.audit.horizon import Horizon, Horizons
from app.errors import AccountUnknownError, BeyondHorizonError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.group_commit import GroupQueue

if TYPE_CHECKING:
    from app.audit import row_types


READS_AT_ONCE: Final = 4  # a slow writer holds up the horizon of one for a second at most
READ_TOGETHER_MAX: Final = 100
_SQL: Final[row_types.BalanceSql] = sql.beside(__file__)


class BalanceAsOf(msgspec.Struct, frozen=True):
    """balance = free + held - debt, by ``recorded_at`` up to ``as_of`` inclusive."""

    balance: int
    free: int
    held: int
    debt: int
    as_of: datetime
    complete_to: datetime


class Balances:
    """Balances of a book; those of now that are asked for at once are read together.

    They share one horizon, found after the last of them was asked for.
    """

    def __init__(self, database: Database, horizons: Horizons) -> None:
        self._database = database
        self._horizons = horizons
        self._reads = GroupQueue(self._now, drains_max=READS_AT_ONCE, group_max=READ_TOGETHER_MAX)

    async def of(self, public_id: str, as_of: datetime | None) -> BalanceAsOf:
        """Do as `balance` does."""
        if as_of is not None:
            return await balance(self._database, self._horizons, public_id, as_of)
        found = await self._reads.put(public_id)
        if found is None:
            raise AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)
        return found

    async def close(self) -> None:
        """Wait for what is being read."""
        await self._reads.close()

    async def _now(self, public_ids: list[str]) -> list[BalanceAsOf | None]:
        horizon = await self._horizons.find(self._database)
        asked = list(dict.fromkeys(public_ids))
        rows = await self._database.fetch(_SQL["now_of_many"](public_ids=asked))
        found = {row["public_id"]: _balance(row, horizon) for row in rows}
        return [found.get(public_id) for public_id in public_ids]


async def balance(
    database: Database, horizons: Horizons, public_id: str, as_of: datetime | None
) -> BalanceAsOf:
    """Return the balance now (``as_of`` None) or as of a past instant.

    Raises AccountUnknownError, and BeyondHorizonError if ``as_of`` is not yet complete.
    """
    numbers = await account_numbers(database, public_id)
    if not numbers:
        raise AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)
    horizon = await horizons.find(database)
    if as_of is not None and as_of > horizon.complete_to:
        raise BeyondHorizonError(
            "as_of is later than what is complete; ask for complete_to or earlier.",
            complete_to=horizon.complete_to,
        )
    account_ids = list(numbers)
    row = await database.fetchrow(
        *(
            _SQL["now"](account_ids=account_ids)
            if as_of is None
            else _SQL["as_of"](account_ids=account_ids, as_of=as_of)
        )
    )
    assert row is not None
    return _balance(row, horizon)


def _balance(row: row_types.BalanceNowOfMany, horizon: Horizon) -> BalanceAsOf:
    total = row["free"] + row["held"] - row["debt"]
    return BalanceAsOf(
        total, row["free"], row["held"], row["debt"], row["now"], horizon.complete_to
    )
