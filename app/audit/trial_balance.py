"""The trial balance: all debits and credits of each side and each house account."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit.horizon import Horizons
from app.errors import BeyondHorizonError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.ledger.kinds import House, Side

if TYPE_CHECKING:
    from app.audit import row_types


# All are listed, in this order: a line of zeros says more than a missing one.
ACCOUNTS: Final = (*Side, *House)

_SQL: Final[row_types.TrialBalanceSql] = sql.beside(__file__)


class TrialBalanceLine(msgspec.Struct, frozen=True):
    """A side of all accounts (free, held, debt) or a house account; balance = credits - debits."""

    account: str
    debits: int
    credits: int
    balance: int


class TrialBalance(msgspec.Struct, frozen=True):
    """Equal totals of debits and credits, by ``recorded_at`` up to ``as_of`` inclusive."""

    as_of: datetime
    complete_to: datetime
    lines: list[TrialBalanceLine]
    debits: int
    credits: int


async def trial_balance(
    database: Database, horizons: Horizons, as_of: datetime | None
) -> TrialBalance:
    """Return the trial balance; ``as_of`` None is the last complete instant.

    Raises BeyondHorizonError.
    """
    horizon = await horizons.find(database)
    if as_of is not None and as_of > horizon.complete_to:
        raise BeyondHorizonError(
            "as_of is later than what is complete; ask for complete_to or earlier.",
            complete_to=horizon.complete_to,
        )
    at = as_of or horizon.complete_to
    rows = await database.fetch(_SQL["sums"](as_of=at))
    # The sums are numeric: ten million of the largest amounts pass 2**63.
    sums = {row["account"]: (int(row["debits"]), int(row["credits"])) for row in rows}
    lines = [_line(str(account), *sums.get(account, (0, 0))) for account in ACCOUNTS]
    return TrialBalance(
        as_of=at,
        complete_to=horizon.complete_to,
        lines=lines,
        debits=sum(line.debits for line in lines),
        credits=sum(line.credits for line in lines),
    )


def _line(account: str, debits: int, credits: int) -> TrialBalanceLine:
    return TrialBalanceLine(account, debits, credits, credits - debits)
