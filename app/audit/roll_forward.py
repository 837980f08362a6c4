"""The roll-forward: what the balance was, what came and went by kind, and what it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.errors import AccountUnknownError, BeyondHorizonError, RefusedError
from app.infrastructure.db import Database

_MICROSECOND: Final = timedelta(microseconds=1)


class RangeReversedError(RefusedError):
    """``from`` is later than ``to``."""

    code = "range_reversed"


class RollForward(msgspec.Struct, frozen=True, kw_only=True):
    """opening + granted + purchased - spent - refunded - expired + adjusted + transferred
    + reversed = closing, of balances (free + held - debt).

    ``refunded`` is net of what a won dispute gave back; ``adjusted``, ``transferred`` and
    ``reversed`` are signed. Holds, freezes, repayments and write-offs change no balance.
    """

    opening: int
    granted: int
    purchased: int
    spent: int
    refunded: int
    expired: int
    adjusted: int
    transferred: int
    reversed: int
    closing: int
    start: datetime
    end: datetime
    complete_to: datetime


# Each kind that changes a balance has one place; the closing is summed apart from them all.
_SUMS: Final = """
SELECT coalesce(sum(change) FILTER (WHERE recorded_at < $1), 0) AS opening,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'grant'), 0) AS granted,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'purchase'), 0) AS purchased,
       coalesce(-sum(change) FILTER (WHERE within AND kind = 'spend'), 0) AS spent,
       coalesce(-sum(change) FILTER (WHERE within AND kind = 'refund'), 0) AS refunded,
       coalesce(-sum(change) FILTER (WHERE within AND kind = 'expiry'), 0) AS expired,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'adjustment'), 0) AS adjusted,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'transfer'), 0) AS transferred,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'reversal'), 0) AS reversed,
       coalesce(sum(change), 0) AS closing
  FROM (SELECT kind, recorded_at, recorded_at >= $1 AS within,
               amount * ((credit IN ('free', 'held', 'debt'))::int
                         - (debit IN ('free', 'held', 'debt'))::int) AS change
          FROM entries
         WHERE recorded_at < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))) AS changes
"""


async def roll_forward(
    database: Database,
    horizons: Horizons,
    start: datetime,
    end: datetime,
    public_id: str | None = None,
) -> RollForward:
    """Over [start, end) by ``recorded_at``, of one account or of all.

    Raises RangeReversedError, BeyondHorizonError, AccountUnknownError.
    """
    if start > end:
        raise RangeReversedError("from is later than to.")
    numbers = None
    if public_id is not None:
        numbers = await account_numbers(database, public_id)
        if not numbers:
            raise AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)
    horizon = await horizons.find(database)
    # The range is half-open: its last instant is the one before its end.
    if end - _MICROSECOND > horizon.complete_to:
        raise BeyondHorizonError(
            "to is later than what is complete; ask for complete_to or earlier.",
            complete_to=horizon.complete_to,
        )
    row = await database.fetchrow(_SUMS, start, end, numbers and list(numbers))
    assert row is not None
    sums = {name: int(value) for name, value in row.items()}
    return RollForward(**sums, start=start, end=end, complete_to=horizon.complete_to)
