"""The trial balance: what was debited and credited to each account, sides and house, by then."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from app.audit.horizon import Horizons
from app.errors import BeyondHorizonError
from app.infrastructure.db import Database
from app.ledger.kinds import House, Side

# Always all of them, in this order: a line of zeros says more than a missing one.
ACCOUNTS: Final = (*Side, *House)


class Line(msgspec.Struct, frozen=True):
    """One account's sums; balance = credits - debits, so that what is owed is negative."""

    account: str
    debits: int
    credits: int
    balance: int


class TrialBalance(msgspec.Struct, frozen=True):
    """Equal totals; by ``recorded_at`` up to ``as_of`` inclusive."""

    as_of: datetime
    complete_to: datetime
    lines: list[Line]
    debits: int
    credits: int


async def trial_balance(
    database: Database, horizons: Horizons, as_of: datetime | None
) -> TrialBalance:
    """As the ledger stood; ``as_of`` None is the last instant that is complete.

    Raises BeyondHorizonError.
    """
    horizon = await horizons.find(database)
    if as_of is not None and as_of > horizon.complete_to:
        raise BeyondHorizonError(
            "as_of is later than what is complete; ask for complete_to or earlier.",
            complete_to=horizon.complete_to,
        )
    at = as_of or horizon.complete_to
    # Debits and credits are summed apart, so that equal totals are found and not assumed.
    rows = await database.fetch(
        """WITH summed AS MATERIALIZED (
               SELECT debit, credit, sum(amount) AS amount FROM entries
                WHERE recorded_at <= $1 GROUP BY debit, credit)
           SELECT account, sum(debits) AS debits, sum(credits) AS credits
             FROM (SELECT debit AS account, amount AS debits, 0 AS credits FROM summed
                   UNION ALL SELECT credit, 0, amount FROM summed) AS sided
            GROUP BY account""",
        at,
    )
    # The sums are numeric: 2**63 is fewer than ten million of the largest amounts.
    sums = {row["account"]: (int(row["debits"]), int(row["credits"])) for row in rows}
    lines = [_line(str(account), *sums.get(account, (0, 0))) for account in ACCOUNTS]
    return TrialBalance(
        as_of=at,
        complete_to=horizon.complete_to,
        lines=lines,
        debits=sum(line.debits for line in lines),
        credits=sum(line.credits for line in lines),
    )


def _line(account: str, debits: int, credits: int) -> Line:
    return Line(account, debits, credits, credits - debits)
