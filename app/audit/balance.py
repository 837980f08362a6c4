"""An account's balance as the ledger stood at an instant, from its entries alone."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.errors import AccountUnknownError, BeyondHorizonError
from app.infrastructure import sql
from app.infrastructure.db import Database

_SQL: Final = sql.beside(__file__)


class BalanceAsOf(msgspec.Struct, frozen=True):
    """balance = free + held - debt, by ``recorded_at`` up to ``as_of`` inclusive."""

    balance: int
    free: int
    held: int
    debt: int
    as_of: datetime
    complete_to: datetime


async def balance(
    database: Database, horizons: Horizons, public_id: str, as_of: datetime | None
) -> BalanceAsOf:
    """The balance now (``as_of`` None) or as of a past instant.

    Raises AccountUnknownError, and BeyondHorizonError where ``as_of`` is not yet complete.
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
    total = row["free"] + row["held"] - row["debt"]
    return BalanceAsOf(
        total, row["free"], row["held"], row["debt"], row["now"], horizon.complete_to
    )
