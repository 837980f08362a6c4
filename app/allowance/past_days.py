"""Days that have ended, to which credits may still come back. Pure.

Credits that come back to a day after its end are carried into the running day as if they had been
there at that end. Each step is limited twice: by what that day's rule would have left free, and by
what could still be carried into the next day. The rest expires. So a hold or a refund over a
midnight neither gains nor loses credits.

Example: an account gets 5 credits a day and carries over at most 5. At midnight 4 are held, so 1
is carried. If the 4 are released the day after, they go into that day's carried lot, which then
was given 5 in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.ledger.clawbacks import Clawback
from app.ledger.kinds import LotSource
from app.ledger.sheet import JournalDraft, Lot, Sheet

# These lots end with their day; what is left of them is carried over.
DAY_SOURCES: Final = frozenset({LotSource.DAILY, LotSource.CARRIED})


@dataclass(slots=True, eq=False)
class PastDay:
    """A day's lots, what its rule allowed at its end, and how much could be carried over.

    ``allowed`` is the allowance less the usage that other days had brought. The day's own lot was
    left with ``max(0, allowed - used)``. ``following`` is None if the running day follows.
    """

    own: Lot
    carried: Lot | None
    allowed: int
    carry_over_max: int
    others: Sequence[Lot] = ()  # of openings that were reversed, and of accounts joined to this one
    following: PastDay | None = None

    @property
    def lots(self) -> list[Lot]:
        """Return all lots that ended with the day, in the order in which they are carried over."""
        return [self.own, *([self.carried] if self.carried else []), *self.others]


def carry_on(
    sheet: Sheet,
    journal: JournalDraft,
    day: PastDay,
    running: tuple[Lot, Lot | None],
    clawbacks: Sequence[Clawback],
) -> None:
    """Carry what came back to a day's lots over, day by day, into the running day's lots.

    ``running`` are the running day's own lot and the lot of what was carried into it.
    """
    past: PastDay | None = day
    while past is not None:
        burn_first(sheet, journal, (past.own, past.carried), clawbacks)
        _keep_rule(sheet, journal, past)
        into = past.following.carried if past.following else running[1]
        room = max(0, past.carry_over_max - _carried_in(into, clawbacks)) if into else 0
        if not sheet.carry(journal, past.lots, room, into):
            return
        past = past.following
    burn_first(sheet, journal, running, clawbacks)


def _carried_in(into: Lot, clawbacks: Sequence[Clawback]) -> int:
    """Return how much was carried into a lot: without what a reversed return had brought there."""
    return into.granted - sum(one.clawed for one in clawbacks if one.lot is into and one.of_return)


def _keep_rule(sheet: Sheet, journal: JournalDraft, day: PastDay) -> None:
    """Keep of what came back to the day's own lot only what the rule had left free."""
    beyond = day.own.drawn + day.own.free - day.allowed
    sheet.expire(journal, day.own, min(day.own.free, max(0, beyond)))


def burn_first(
    sheet: Sheet,
    journal: JournalDraft,
    lots: tuple[Lot, Lot | None],
    clawbacks: Sequence[Clawback],
) -> None:
    """Credits came back to the carried lot of a day: burn them before the day's own lot.

    What was drawn from the own lot in their place returns to it. Otherwise a hold would gain
    credits: a downgrade takes what was used from the allowance, but nothing of the carried lot.
    """
    own, carried = lots
    taken_back = sum(
        one.clawed + one.shortfall_reversed
        for one in clawbacks
        if one.lot is own and not one.of_return  # a reversed return is a draw like the spend
    )
    part = min(carried.free, own.drawn - taken_back) if carried else 0
    if carried and part > 0:
        sheet.transfer(journal, carried, own, part)
