"""An account's balance as the ledger stood at an instant, from its entries alone."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.errors import AccountUnknownError, BeyondHorizonError
from app.infrastructure.db import Database

# The last entry of an account: now, by the order of commits; as of an instant, by its own index.
_LAST: Final = {
    True: "ORDER BY id DESC",
    False: "AND recorded_at <= $2 ORDER BY recorded_at DESC, id DESC",
}


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
    row = await database.fetchrow(
        f"""SELECT coalesce(sum(free_after), 0)::bigint AS free,
                  coalesce(sum(held_after), 0)::bigint AS held,
                  coalesce(sum(debt_after), 0)::bigint AS debt, tallybook_now() AS now
             FROM unnest($1::bigint[]) AS account (id)
             JOIN LATERAL (SELECT free_after, held_after, debt_after FROM entries
                            WHERE entries.account_id = account.id {_LAST[as_of is None]}
                            LIMIT 1) AS last ON true""",
        *((list(numbers),) if as_of is None else (list(numbers), as_of)),
    )
    assert row is not None
    total = row["free"] + row["held"] - row["debt"]
    return BalanceAsOf(
        total, row["free"], row["held"], row["debt"], as_of or row["now"], horizon.complete_to
    )
