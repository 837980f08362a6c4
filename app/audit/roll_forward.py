"""The roll-forward: the opening balance, what came and went by kind, the closing balance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.errors import AccountUnknownError, BeyondHorizonError, RefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.ledger.kinds import LotSource

if TYPE_CHECKING:
    from app.audit import row_types


_MICROSECOND: Final = timedelta(microseconds=1)
_SQL: Final[row_types.RollForwardSql] = sql.beside(__file__)

# Lines beside those of tiers; a tier's name is in capitals.
NO_TIERS: Final = ("none", "debt")
_NAMES: Final = frozenset({"lot_source", "tier"})


class RangeReversedError(RefusedError):
    """``from`` is later than ``to``."""

    code = "range_reversed"


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the roll-forward, which closes by itself.

    ``repaid`` is signed: what of the credits was paid against a debt.
    """

    opening: int = 0
    granted: int = 0
    purchased: int = 0
    spent: int = 0
    returned: int = 0
    refunded: int = 0
    expired: int = 0
    adjusted: int = 0
    transferred: int = 0
    reversed: int = 0
    repaid: int = 0
    closing: int = 0


class SourceForward(Flows, frozen=True, kw_only=True):
    """The roll-forward of the lots of one source, or of the debt of all accounts.

    ``expired`` of purchased lots is breakage, and their ``closing`` is what was paid for and not
    used: deferred.
    """

    lot_source: str


class TierForward(Flows, frozen=True, kw_only=True):
    """The roll-forward of the days that were opened under one tier: of their own lots, and of those
    into which credits were carried.

    The tier `none` has all other lots, promotional and purchased ones; `debt` is what is owed.
    """

    tier: str


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
    by_lot_source: list[SourceForward] | None = None
    by_tier: list[TierForward] | None = None


async def roll_forward(
    database: Database,
    horizons: Horizons,
    start: datetime,
    end: datetime,
    public_id: str | None = None,
    *,
    by_lot_source: bool = False,
    by_tier: bool = False,
) -> RollForward:
    """Return the roll-forward over [start, end) by ``recorded_at``, of one account or of all.

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
    asked = {"start": start, "end": end, "account_ids": numbers and list(numbers)}
    row = await database.fetchrow(_SQL["sums"](**asked))
    assert row is not None
    sources = tiers = None
    if by_lot_source:
        rows = await database.fetch(_SQL["sums_by_lot_source"](**asked))
        found = {str(one["lot_source"]): one for one in rows}
        # All sources are listed: a line of zeros says more than a missing one.
        sources = [
            SourceForward(lot_source=str(source), **_whole(found.get(source) or {}))
            for source in (*LotSource, "debt")
        ]
    if by_tier:
        of_tiers = {
            str(one["tier"]): one for one in await database.fetch(_SQL["sums_by_tier"](**asked))
        }
        names = [*sorted(of_tiers.keys() - set(NO_TIERS)), *NO_TIERS]
        tiers = [TierForward(tier=name, **_whole(of_tiers.get(name) or {})) for name in names]
    return RollForward(
        **_whole(row),
        start=start,
        end=end,
        complete_to=horizon.complete_to,
        by_lot_source=sources,
        by_tier=tiers,
    )


def _whole(row: Mapping[str, Any]) -> dict[str, int]:
    """Return the sums, which are numeric: ten million of the largest amounts pass 2**63.

    As text such a number may be 1E+12, which int() does not read.
    """
    return {name: int(sum_) for name, sum_ in row.items() if name not in _NAMES}
