"""Open a day again whose opening was taken back with its run. Pure.

The day's allowance is what it is on any other path: what the first lot gave and was not taken back
counts as used, so that a day yields no more for having been taken back and opened again.
"""

from __future__ import annotations

from app.allowance.day import AccountDay
from app.allowance.entitlement import entitled_tier
from app.allowance.opened_days import OpenedDay
from app.allowance.origin import Origin
from app.ledger import clawbacks
from app.ledger.kinds import Act, LotSource
from app.ledger.sheet import JournalDraft, Lot


def reopen(day: AccountDay, origin: Origin) -> int:
    """Undo the reversal's shortfalls, then grant what the present catalogue leaves of the day.

    Returns what was used of the lot that was taken back.

    ``day`` has every clawback of its lot; ``origin`` names the run. The opening is dated now: the
    credits of the day's start were taken back, and until now there were none.
    """
    assert day.day is not None
    assert day.lot is not None
    journal = day.sheet.begin(
        JournalDraft(
            act=Act.OPENING,
            source=origin.source,
            actor=origin.actor,
            effective_at=day.now,
            run_id=origin.run_id,
        )
    )
    used = _used(day, day.lot, journal)
    day.used_brought += used
    day.lot.of_running_day = False
    day.lot.changed = day.changed = True
    day.opening, day.withdrawn = day.opening + 1, False
    day.day_catalogue, day.day_catalogue_id = day.catalogue, day.catalogue_id
    day.tier = entitled_tier(day.givings, day.now, day.catalogue)
    credits = min(max(0, day.allowed - day.used_brought), day.sheet.room)
    day.lot = day.sheet.grant(journal, LotSource.DAILY, credits, day.day.ends_at)
    day.lot.of_running_day = True
    day.opened.append(
        OpenedDay(
            account_id=day.sheet.account_id,
            day=day.day,
            opening=day.opening,
            time_zone=day.time_zone,
            tier=day.tier,
            credits=credits,
            previous_on=None,
            lot=day.lot,
            carried=day.carried,
            run_id=origin.run_id,
            after_dormancy=False,
        )
    )
    day.refresh_due()
    return used


def _used(day: AccountDay, lot: Lot, journal: JournalDraft) -> int:
    """What left the lot for good: not what was taken back, nor what was paid for as a debt."""
    used = lot.drawn
    for clawback in [clawback for clawback in day.clawbacks if clawback.lot is lot]:
        used -= (
            clawback.clawed
            + clawback.shortfall_reversed
            + clawbacks.lift(day.sheet, journal, clawback)
        )
    return max(0, used)
