"""Days that have ended, as far as credits may still come back to them. Pure.

What comes back to a day after its end goes on into the running one, as if it had been there at that
end: as far as that day's rule would have left it free, as far as the day after could still be
carried into, and so on from midnight to midnight. The rest expires. So a hold or a refund over a
midnight neither gains nor loses anything.

Example: of 5 credits a day and at most 5 carried over, 4 are held at midnight, and 1 is carried.
Released the day after, the 4 go into that day's carried lot, which was given 5 in all then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.ledger.clawbacks import Clawback
from app.ledger.kinds import LotSource
from app.ledger.sheet import JournalDraft, Lot, Sheet

# The lots that end with their day, whose rest is carried over.
DAY_SOURCES: Final = frozenset({LotSource.DAILY, LotSource.CARRIED})


@dataclass(slots=True, eq=False)
class PastDay:
    """A day's lots, how much its rule allowed at its end, and how much could be carried on.

    ``allowed`` is the allowance less what other days had brought to it: its own lot was left
    ``max(0, allowed - used)``. ``following`` None is the running day.
    """

    own: Lot
    carried: Lot | None
    allowed: int
    carry_over_max: int
    others: Sequence[Lot] = ()  # of openings that were taken back, and of accounts joined to this
    following: PastDay | None = None

    @property
    def lots(self) -> list[Lot]:
        """All that ended with it, in the order in which they are carried on."""
        return [self.own, *([self.carried] if self.carried else []), *self.others]


def carry_on(
    sheet: Sheet,
    journal: JournalDraft,
    day: PastDay,
    running: tuple[Lot, Lot | None],
    clawbacks: Sequence[Clawback],
) -> None:
    """Let what came back to a day's lots go on, day by day, into the running one's.

    ``running`` are its own lot and the one of what was carried into it.
    """
    past: PastDay | None = day
    while past is not None:
        burn_first(sheet, journal, (past.own, past.carried), clawbacks)
        _keep_rule(sheet, journal, past)
        into = past.following.carried if past.following else running[1]
        room = max(0, past.carry_over_max - into.granted) if into else 0
        if not sheet.carry(journal, past.lots, room, into):
            return
        past = past.following
    burn_first(sheet, journal, running, clawbacks)


def _keep_rule(sheet: Sheet, journal: JournalDraft, day: PastDay) -> None:
    """Of what came back to the day's own lot the rule had left free what lies within it."""
    beyond = day.own.drawn + day.own.free - day.allowed
    sheet.expire(journal, day.own, min(day.own.free, max(0, beyond)))


def burn_first(
    sheet: Sheet,
    journal: JournalDraft,
    lots: tuple[Lot, Lot | None],
    clawbacks: Sequence[Clawback],
) -> None:
    """Credits came back to the carried one of a day's two lots: they burn before its own.

    What was drawn of its own lot in their place returns to that. Otherwise holding them would gain:
    a downgrade takes what was used from the allowance, and leaves what is carried alone.
    """
    own, carried = lots
    taken_back = sum(one.clawed + one.shortfall_reversed for one in clawbacks if one.lot is own)
    part = min(carried.free, own.drawn - taken_back) if carried else 0
    if carried and part > 0:
        sheet.transfer(journal, carried, own, part)
