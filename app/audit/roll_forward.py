"""The roll-forward: what the balance was, what came and went by kind, and what it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.errors import AccountUnknownError, BeyondHorizonError, RefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database

_MICROSECOND: Final = timedelta(microseconds=1)
_SQL: Final = sql.beside(__file__)


class RangeReversedError(RefusedError):
    """``from`` is later than ``to``."""

    code = "range_reversed"


class RollForward(msgspec.Struct, frozen=True, kw_only=True):
    """opening + granted + purchased - spent + returned - refunded - expired + adjusted
    + transferred + reversed = closing, of balances (free + held - debt).

    ``refunded`` is net of what a won dispute gave back; ``adjusted``, ``transferred`` and
    ``reversed`` are signed. Holds, freezes, repayments and write-offs change no balance.
    """

    opening: int
    granted: int
    purchased: int
    spent: int
    returned: int
    refunded: int
    expired: int
    adjusted: int
    transferred: int
    reversed: int
    closing: int
    start: datetime
    end: datetime
    complete_to: datetime


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
    row = await database.fetchrow(
        *_SQL["sums"](start=start, end=end, account_ids=numbers and list(numbers))
    )
    assert row is not None
    sums = {name: int(value) for name, value in row.items()}
    return RollForward(**sums, start=start, end=end, complete_to=horizon.complete_to)
