"""Take back what one lot was given: free credits now, held ones later, the rest by policy.

Pure. A ``Clawback`` takes back one grant, purchase or adjustment of a lot, or the refunded money
of a purchased lot. While part of the lot is held, the clawback continues at the release. When a
spend of the lot is reversed, the shortfall is made good first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.infrastructure.ids import EntryNumber, ReversalNumber
from app.ledger.kinds import House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot, Sheet


class Policy(StrEnum):
    """The treatment of a shortfall, which is what was spent already."""

    WRITE_OFF = "write_off"
    DEBT = "debt"
    REJECT = "reject"


@dataclass(slots=True, eq=False)
class Clawback:
    """The progress of taking back one entry: the five numbers of the answer, and what is open.

    Its entries are of this ``kind``; those of a reversal name the entry that they reverse.
    """

    lot: Lot
    entry_id: EntryNumber | None
    house: House
    policy: Policy
    requested: int
    clawed: int = 0
    held: int = 0
    shortfall: int = 0
    expired: int = 0
    pending: int = 0
    shortfall_reversed: int = 0
    waived: int = 0
    number: ReversalNumber | None = None
    changed: bool = False
    kind: Kind = Kind.REVERSAL
    owed_elsewhere: bool = False  # the shortfall is another account's debt

    @property
    def of_return(self) -> bool:
        """Return whether it takes back what a return gave: these credits are spent again."""
        return self.house is House.SPENT

    @property
    def short(self) -> int:
        """Return the remaining shortfall: not made good by a reversed spend or a day opened
        again.
        """
        return self.shortfall - self.shortfall_reversed - self.waived


def begin(sheet: Sheet, journal: JournalDraft, clawback: Clawback, lapsed: int, held: int) -> None:
    """Take back everything that is requested.

    ``lapsed`` is what of the lot expired, ``held`` what is held of it: each without what the lot's
    other clawbacks have counted.
    """
    take(sheet, journal, clawback, clawback.requested, lapsed=lapsed, held=held)


def take(
    sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int, *, lapsed: int, held: int
) -> None:
    """Take what is free, note what is held, and apply the policy to the rest."""
    fall_short(sheet, journal, clawback, seize(sheet, journal, clawback, amount, lapsed, held))


def seize(
    sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int, lapsed: int, held: int
) -> int:
    """Take what is free, and note what is held or expired; return how much falls short.

    The caller then calls `fall_short`, after it has seized the credits of every lot.
    """
    free = min(clawback.lot.free, amount)
    waiting = min(held, amount - free)
    expired = min(lapsed, amount - free - waiting)
    shortfall = amount - free - waiting - expired
    clawback.clawed += free
    clawback.held += waiting
    clawback.pending += waiting
    clawback.expired += expired
    clawback.shortfall += shortfall
    clawback.changed = True
    _take(sheet, journal, clawback, free)
    return shortfall


def given_back(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> int:
    """Take what is still to be taken from credits that a hold released; return how many."""
    taken = min(amount, clawback.pending, clawback.lot.free)
    if taken:
        clawback.pending -= taken
        clawback.clawed += taken
        clawback.held -= taken
        clawback.changed = True
        _take(sheet, journal, clawback, taken)
    return taken


def captured(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> int:
    """Move held credits that were to be taken and were spent into the shortfall; return how
    many.
    """
    lost = min(amount, clawback.pending)
    if lost:
        clawback.pending -= lost
        clawback.held -= lost
        clawback.shortfall += lost
        clawback.changed = True
        fall_short(sheet, journal, clawback, lost)
    return lost


def restored(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> int:
    """Take, after a spend of the lot was reversed, what fell short before; return how many."""
    undone = min(amount, clawback.short, clawback.lot.free)
    if clawback.policy is Policy.DEBT:
        # The part of the debt that was repaid meanwhile was paid for: it stays with the account.
        undone = min(undone, sheet.debt)
    if undone:
        clawback.shortfall_reversed += undone
        clawback.changed = True
        if clawback.kind is Kind.REFUND:
            # What the refund took stays taken; the debt in its place is repaid.
            sheet.write(journal, clawback.lot, Kind.REPAYMENT, Side.FREE, Side.DEBT, undone)
        else:
            _undo_shortfall(sheet, journal, clawback, undone)
            _take(sheet, journal, clawback, undone)
    return undone


def unrestored(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> int:
    """Undo so much of `restored`: it falls short again, and is free in the lot. Return how much.

    The caller takes it from the lot, and lets the lots repay what is owed.
    """
    again = min(amount, clawback.shortfall_reversed)
    if again:
        clawback.shortfall_reversed -= again
        clawback.changed = True
        sheet.write(
            journal,
            clawback.lot,
            clawback.kind,
            clawback.house,
            Side.FREE,
            again,
            reverses_entry_id=clawback.entry_id,
        )
        _charge(sheet, journal, clawback, again)
    return again


def lift(sheet: Sheet, journal: JournalDraft, clawback: Clawback, most: int) -> int:
    """Cover the shortfall, then what holds keep, with this many credits of a day opened again.

    Returns how much of the shortfall it covered. The rest stays written off, or owed.
    """
    undone = min(clawback.short, most)
    if clawback.policy is Policy.DEBT:
        undone = min(undone, sheet.debt)  # what was repaid meanwhile was paid for
    if undone:
        _undo_shortfall(sheet, journal, clawback, undone)
    spared = min(clawback.pending, most - undone)
    clawback.waived += undone
    clawback.held -= spared
    clawback.pending -= spared
    clawback.changed = True
    return undone


def _take(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> None:
    if amount:
        sheet.write(
            journal,
            clawback.lot,
            clawback.kind,
            Side.FREE,
            clawback.house,
            amount,
            reverses_entry_id=clawback.entry_id,
        )


def fall_short(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> None:
    """Apply the policy to so much that is neither free nor held."""
    if clawback.owed_elsewhere or not amount:
        return
    _charge(sheet, journal, clawback, amount)
    if clawback.policy is Policy.DEBT:
        for lot in sheet.spendable():
            sheet.repay(journal, lot)


def _charge(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> None:
    """Owe a shortfall, or write it off."""
    if clawback.policy is Policy.DEBT:
        sheet.write(
            journal,
            clawback.lot,
            clawback.kind,
            Side.DEBT,
            clawback.house,
            amount,
            reverses_entry_id=clawback.entry_id,
        )
    else:
        sheet.write(
            journal, clawback.lot, Kind.WRITE_OFF, House.WRITTEN_OFF, clawback.house, amount
        )


def _undo_shortfall(sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int) -> None:
    if clawback.policy is Policy.DEBT:
        sheet.write(
            journal,
            clawback.lot,
            clawback.kind,
            clawback.house,
            Side.DEBT,
            amount,
            reverses_entry_id=clawback.entry_id,
        )
    else:
        sheet.write(
            journal, clawback.lot, Kind.WRITE_OFF, clawback.house, House.WRITTEN_OFF, amount
        )
