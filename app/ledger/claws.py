"""Take back what one lot was given: what is free now, what is held later, the rest by policy.

Pure. A ``Claw`` is one reversed grant, purchase or adjustment of a lot, or the money that went
back for a purchased one; while part of it is held it goes on at the release, and when a spend of
the lot is reversed its shortfall is undone first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.ledger.kinds import House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot, Sheet


class Policy(StrEnum):
    """What becomes of a shortfall: what was spent already."""

    WRITE_OFF = "write_off"
    DEBT = "debt"
    REJECT = "reject"


@dataclass(slots=True, eq=False)
class Claw:
    """How far the taking back of one entry has come; the answer's five numbers and what is open.

    Its entries are of this ``kind``, and those of a reversal name the entry that they reverse.
    """

    lot: Lot
    entry_id: int | None
    house: House
    policy: Policy
    requested: int
    clawed: int = 0
    held: int = 0
    shortfall: int = 0
    expired: int = 0
    to_claw: int = 0
    undone: int = 0
    lifted: int = 0
    number: int | None = None
    changed: bool = False
    kind: Kind = Kind.REVERSAL
    owed_elsewhere: bool = False  # what falls short is another account's debt


def begin(sheet: Sheet, journal: JournalDraft, claw: Claw, lapsed: int, held: int) -> None:
    """Take all that is requested.

    ``lapsed`` is what of the lot expired, ``held`` what is held of it: each less what other claws
    of the lot have counted as theirs.
    """
    take(sheet, journal, claw, claw.requested, lapsed=lapsed, held=held)


def take(
    sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int, *, lapsed: int, held: int
) -> None:
    """Take what is free, note what is held, and let the policy have the rest."""
    free = min(claw.lot.free, amount)
    waiting = min(held, amount - free)
    expired = min(lapsed, amount - free - waiting)
    shortfall = amount - free - waiting - expired
    claw.clawed += free
    claw.held += waiting
    claw.to_claw += waiting
    claw.expired += expired
    claw.shortfall += shortfall
    claw.changed = True
    _take(sheet, journal, claw, free)
    _fall_short(sheet, journal, claw, shortfall)


def given_back(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> int:
    """Credits came back to the lot from a hold: take what is still to be clawed; how much."""
    taken = min(amount, claw.to_claw, claw.lot.free)
    if taken:
        claw.to_claw -= taken
        claw.clawed += taken
        claw.held -= taken
        claw.changed = True
        _take(sheet, journal, claw, taken)
    return taken


def captured(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> int:
    """Held credits that were to be clawed were spent: they fall short; how much."""
    lost = min(amount, claw.to_claw)
    if lost:
        claw.to_claw -= lost
        claw.held -= lost
        claw.shortfall += lost
        claw.changed = True
        _fall_short(sheet, journal, claw, lost)
    return lost


def restored(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> int:
    """A spend of the lot was reversed: what fell short before is taken now; how much."""
    if claw.lifted:  # the day was opened again: nothing falls short any more
        return 0
    undone = min(amount, claw.shortfall - claw.undone, claw.lot.free)
    if claw.policy is Policy.DEBT:
        # What was repaid of the debt meanwhile was paid for: that much stays with the account.
        undone = min(undone, sheet.debt)
    if undone:
        claw.undone += undone
        claw.changed = True
        if claw.kind is Kind.REFUND:
            # What the money took it keeps; the debt that stood for it is repaid.
            sheet.write(journal, claw.lot, Kind.REPAYMENT, Side.FREE, Side.DEBT, undone)
        else:
            _undo_shortfall(sheet, journal, claw, undone)
            _take(sheet, journal, claw, undone)
    return undone


def lift(sheet: Sheet, journal: JournalDraft, claw: Claw) -> int:
    """The day is opened again: undo the shortfall, and claw no more of what is held.

    Returns how much of the shortfall the account has paid for meanwhile: that much of what it used
    does not count against the day.
    """
    short = claw.shortfall - claw.undone
    undone = min(short, sheet.debt) if claw.policy is Policy.DEBT else short
    if undone:
        _undo_shortfall(sheet, journal, claw, undone)
    claw.lifted = short + claw.to_claw
    claw.held -= claw.to_claw
    claw.to_claw = 0
    claw.changed = True
    return short - undone


def _take(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> None:
    if amount:
        sheet.write(
            journal,
            claw.lot,
            claw.kind,
            Side.FREE,
            claw.house,
            amount,
            reverses_entry_id=claw.entry_id,
        )


def _fall_short(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> None:
    if claw.owed_elsewhere:
        return
    if amount and claw.policy is Policy.DEBT:
        sheet.write(
            journal,
            claw.lot,
            claw.kind,
            Side.DEBT,
            claw.house,
            amount,
            reverses_entry_id=claw.entry_id,
        )
        for lot in sheet.spendable():
            sheet.repay(journal, lot)
    elif amount:
        sheet.write(journal, claw.lot, Kind.WRITE_OFF, House.WRITTEN_OFF, claw.house, amount)


def _undo_shortfall(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> None:
    if claw.policy is Policy.DEBT:
        sheet.write(
            journal,
            claw.lot,
            claw.kind,
            claw.house,
            Side.DEBT,
            amount,
            reverses_entry_id=claw.entry_id,
        )
    else:
        sheet.write(journal, claw.lot, Kind.WRITE_OFF, claw.house, House.WRITTEN_OFF, amount)
