"""Take back what one lot was given: what is free now, what is held later, the rest by policy.

Pure. A ``Claw`` is one reversed grant, purchase or adjustment of a lot; while part of it is held
it goes on at the release, and when a spend of the lot is reversed its shortfall is undone first.
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
    """How far the taking back of one entry has come; the answer's five numbers and what is open."""

    lot: Lot
    entry_id: int
    house: House
    policy: Policy
    requested: int
    clawed: int = 0
    held: int = 0
    shortfall: int = 0
    expired: int = 0
    to_claw: int = 0
    undone: int = 0
    number: int | None = None
    changed: bool = False


def begin(sheet: Sheet, journal: JournalDraft, claw: Claw, lapsed: int, held: int) -> None:
    """Take what is free, note what is held, and let the policy have the rest.

    ``lapsed`` is what of the lot expired, ``held`` what is held of it: each less what other claws
    of the lot have counted as theirs.
    """
    lot, left = claw.lot, claw.requested
    claw.clawed = min(lot.free, left)
    left -= claw.clawed
    claw.held = claw.to_claw = min(held, left)
    left -= claw.held
    claw.expired = min(lapsed, left)
    claw.shortfall = left - claw.expired
    _take(sheet, journal, claw, claw.clawed)
    _fall_short(sheet, journal, claw, claw.shortfall)
    claw.changed = True


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
    undone = min(amount, claw.shortfall - claw.undone, claw.lot.free)
    if claw.policy is Policy.DEBT:
        # What was repaid of the debt meanwhile was paid for: that much stays with the account.
        undone = min(undone, sheet.debt)
    if undone:
        claw.undone += undone
        claw.changed = True
        _undo_shortfall(sheet, journal, claw, undone)
        _take(sheet, journal, claw, undone)
    return undone


def _take(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> None:
    if amount:
        sheet.write(
            journal, claw.lot, Kind.REVERSAL, Side.FREE, claw.house, amount,
            reverses_entry_id=claw.entry_id,
        )  # fmt: skip


def _fall_short(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> None:
    if amount and claw.policy is Policy.DEBT:
        sheet.write(
            journal, claw.lot, Kind.REVERSAL, Side.DEBT, claw.house, amount,
            reverses_entry_id=claw.entry_id,
        )  # fmt: skip
        for lot in sheet.spendable():
            sheet.repay(journal, lot)
    elif amount:
        sheet.write(journal, claw.lot, Kind.WRITE_OFF, House.WRITTEN_OFF, claw.house, amount)


def _undo_shortfall(sheet: Sheet, journal: JournalDraft, claw: Claw, amount: int) -> None:
    if claw.policy is Policy.DEBT:
        sheet.write(
            journal, claw.lot, Kind.REVERSAL, claw.house, Side.DEBT, amount,
            reverses_entry_id=claw.entry_id,
        )  # fmt: skip
    else:
        sheet.write(journal, claw.lot, Kind.WRITE_OFF, claw.house, House.WRITTEN_OFF, amount)
