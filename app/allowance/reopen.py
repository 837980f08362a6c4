"""Open a day again after its opening was reversed with its run. Pure.

The day's allowance is the same as on any other path. What the first lot gave and was not taken
back counts as used, so that a day yields no more for having been reversed and opened again.

Example: 50 credits were granted by mistake and 30 spent. The reversal takes 20 back and writes 30
off. Opened again at 20 credits, the day covers 20 of the 30 and grants nothing. The other 10 are
the cost of the mistake: they stay written off, or owed, with the reversal's reason.
"""

from __future__ import annotations

from app.allowance.day import AccountDay
from app.allowance.entitlement import entitled_tier
from app.allowance.opened_days import OpenedDay
from app.allowance.origin import Origin
from app.infrastructure import ids
from app.ledger import clawbacks
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.kinds import Act, LotSource
from app.ledger.sheet import JournalDraft


def reopen(day: AccountDay, origin: Origin) -> int:
    """Undo the reversal's shortfalls as far as the day allows, then grant what is left.

    Returns how many more credits count as used in the day because of what was reversed.

    ``day`` has every clawback of its lot, and of the lots of its earlier openings; ``origin``
    names the run. The opening is dated now: the credits of the day's start were taken back, and
    there were none until now.
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
    day.withdrawn = False
    day.day_catalogue, day.day_catalogue_id = day.catalogue, day.catalogue_id
    day.tier = entitled_tier(day.givings, day.now, day.catalogue)
    used = _cover(day, journal)
    day.used_brought += used
    day.lot.of_running_day = False
    day.lot.changed = day.changed = True
    day.opening += 1
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


def _cover(day: AccountDay, journal: JournalDraft) -> int:
    """Undo shortfalls with what the day allows; return what else counts as used.

    What stays written off counts, or the day would yield it twice. What is owed or was repaid does
    not count: a later top-up may still cover it.
    """
    assert day.lot is not None
    taken = [one for one in day.clawbacks if not one.of_return]
    own = [one for one in taken if one.lot is day.lot]
    earlier = [one for one in taken if _is_earlier(day, one)]
    used = day.lot.drawn - sum(one.clawed + one.shortfall_reversed for one in own)
    covered = day.used_brought + used - sum(_open(one) for one in own)
    covered -= sum(_open(one) - _owed(one) for one in earlier)  # what is owed did not count
    room = max(0, day.allowed - covered)
    used -= sum(_owed(one) for one in own)
    for clawback in (*own, *earlier):
        pending = clawback.pending
        undone = clawbacks.lift(day.sheet, journal, clawback, room)
        if undone and clawback.number is not None:
            by = ids.public(ids.REVERSAL, clawback.number)
            journal.reason = f"The day was opened again: it covers what fell short by {by}."
        room -= undone + pending - clawback.pending
        used += undone if clawback.policy is Policy.DEBT else 0
    return max(0, used)


def _is_earlier(day: AccountDay, clawback: Clawback) -> bool:
    """Return whether the clawback is of an earlier opening of this day, which was reversed too."""
    assert day.day is not None
    lot = clawback.lot
    return (
        lot.source is LotSource.DAILY and lot.expires_at == day.day.ends_at and lot is not day.lot
    )


def _open(clawback: Clawback) -> int:
    return clawback.short + clawback.pending


def _owed(clawback: Clawback) -> int:
    return clawback.short if clawback.policy is Policy.DEBT else 0
