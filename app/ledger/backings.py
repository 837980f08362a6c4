"""The money behind a purchased lot: how much of the lot it takes back and freezes. Pure.

A ``Backing`` records how much of its lot must be gone and how much must be frozen. Each settling
posts the difference between that and what is posted. What is held is taken or frozen at its
release; what was spent becomes debt; what comes back is given back in the reverse order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.infrastructure.ids import BackingNumber, EntryNumber
from app.ledger import clawbacks
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.kinds import House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot, Sheet


@dataclass(slots=True, eq=False)
class Backing:
    """The progress with one lot; ``clawback.requested`` of its ``credits`` are taken back.

    ``clawback.expired`` lapsed or was written off: nothing was taken for it, and nothing of it
    comes back. ``closed`` means that an operator reversed the purchase, so money no longer moves
    the lot. For a ``gift`` the receiver gets no debt; ``payer_debt`` is what the payer owes.
    """

    lot: Lot
    credits: int
    clawback: Clawback
    to_freeze: int = 0
    frozen: int = 0
    closed: bool = False
    gift: bool = False
    payer_debt: int = 0
    number: BackingNumber | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """The form of a settling: a refund at Stripe, or the reversal of these entries."""

    reverses: tuple[tuple[EntryNumber, int], ...] = ()  # (entry, amount)
    policy: Policy = Policy.DEBT
    owed_elsewhere: bool = False


REFUNDING: Final = Manner()
GIFT_OF_NOBODY: Final = Manner(policy=Policy.WRITE_OFF)
GIFT_OF_PAYER: Final = Manner(policy=Policy.WRITE_OFF, owed_elsewhere=True)


def new_clawback(lot: Lot, *, gift: bool = False) -> Clawback:
    """Return the clawback of a lot from which nothing was taken yet."""
    policy = Policy.WRITE_OFF if gift else Policy.DEBT
    return Clawback(lot, None, House.REFUNDED, policy, 0, kind=Kind.REFUND)


def clawbacks_of(
    lot: Lot, reversing: Iterable[Clawback], backings: Iterable[Backing]
) -> list[Clawback]:
    """Return the clawbacks of this lot, by reversals and by refunds of money."""
    refunding = (backing.clawback for backing in backings)
    return [clawback for clawback in (*reversing, *refunding) if clawback.lot is lot]


def spare(lot: Lot, reversing: Iterable[Clawback], backings: Iterable[Backing]) -> int:
    """Return what is held of this lot and is neither frozen nor awaited by a clawback."""
    backings = list(backings)
    frozen = sum(backing.frozen for backing in backings if backing.lot is lot)
    return lot.held - frozen - sum(one.pending for one in clawbacks_of(lot, reversing, backings))


def settle(
    sheet: Sheet,
    journal: JournalDraft,
    backing: Backing,
    *,
    taken: int,
    frozen: int,
    lapsed: int,
    held: int,
    manner: Manner = REFUNDING,
) -> Clawback:
    """Change the totals that are taken and frozen to these; return the clawback's change.

    ``lapsed`` and ``held`` are the parts of the lot that expired and that holds keep. The caller
    then lets what came back repay debt, or lets it lapse if the lot has ended.
    """
    more = taken - backing.clawback.requested
    backing.clawback.changed = True
    backing.to_freeze = frozen
    if more < 0:
        _give_back(sheet, journal, backing.clawback, -more, manner)
    part = _part(backing, max(0, more), manner)
    _thaw(sheet, journal, backing, part)
    clawbacks.take(sheet, journal, part, part.requested - part.clawed, lapsed=lapsed, held=held)
    _add(backing.clawback, part)
    freeze(sheet, journal, backing)
    return part


def freeze(sheet: Sheet, journal: JournalDraft, backing: Backing) -> None:
    """Freeze what is free of the lot, up to the target; an ended lot lapses instead."""
    lot = backing.lot
    amount = min(lot.free, backing.to_freeze - backing.frozen)
    if amount > 0 and lot.expires_at > sheet.now:
        sheet.write(journal, lot, Kind.FREEZE, Side.FREE, Side.HELD, amount)
        backing.frozen += amount
        backing.clawback.changed = True


def unfreeze(sheet: Sheet, journal: JournalDraft, backing: Backing, amount: int) -> None:
    """Free so much of what is frozen, for credits that are to be taken from the lot."""
    part = min(backing.frozen, amount)
    if part:
        sheet.write(journal, backing.lot, Kind.UNFREEZE, Side.HELD, Side.FREE, part)
        backing.frozen -= part
        backing.clawback.changed = True


def freeze_again(
    sheet: Sheet, journal: JournalDraft, lot: Lot, backings: Iterable[Backing]
) -> None:
    """Freeze again what has become free in this lot, up to the target."""
    for backing in backings:
        if backing.lot is lot:
            freeze(sheet, journal, backing)


def close(sheet: Sheet, journal: JournalDraft, backing: Backing) -> None:
    """Close the backing of a reversed purchase: nothing stays frozen, and money moves the lot no
    more.
    """
    backing.to_freeze = 0
    _thaw(sheet, journal, backing, _part(backing, 0, REFUNDING))
    backing.closed = backing.clawback.changed = True


def _part(backing: Backing, amount: int, manner: Manner) -> Clawback:
    """Return what is taken now as a clawback of its own: a reversal has its own kind and policy."""
    part = new_clawback(backing.lot)
    part.requested, part.policy = amount, manner.policy
    part.owed_elsewhere = manner.owed_elsewhere
    for entry_id, entry_amount in manner.reverses[:1]:
        if amount <= entry_amount:
            part.kind, part.entry_id = Kind.REVERSAL, entry_id
    return part


def _add(clawback: Clawback, part: Clawback) -> None:
    written_off = 0 if part.policy is Policy.DEBT else part.shortfall
    clawback.requested += part.requested
    clawback.clawed += part.clawed
    clawback.held += part.held
    clawback.pending += part.pending
    clawback.shortfall += part.shortfall - written_off
    clawback.expired += part.expired + written_off


def _thaw(sheet: Sheet, journal: JournalDraft, backing: Backing, part: Clawback) -> None:
    """Unfreeze the excess, and use it first for what is to be taken."""
    loose = max(0, backing.frozen - backing.to_freeze)
    taken = min(loose, part.requested)
    backing.frozen -= loose
    if taken:
        part.clawed += taken
        sheet.write(
            journal,
            backing.lot,
            part.kind,
            Side.HELD,
            House.REFUNDED,
            taken,
            reverses_entry_id=part.entry_id,
        )
    if loose > taken:
        sheet.write(journal, backing.lot, Kind.UNFREEZE, Side.HELD, Side.FREE, loose - taken)


def _give_back(
    sheet: Sheet, journal: JournalDraft, clawback: Clawback, amount: int, manner: Manner
) -> None:
    """Undo the taking from its end: first the debt, then what lapsed, what is held, what
    was taken.
    """
    clawback.requested -= amount
    owed = min(amount, clawback.shortfall)
    clawback.shortfall -= owed
    clawback.shortfall_reversed = min(clawback.shortfall_reversed, clawback.shortfall)
    lapsed = min(amount - owed, clawback.expired)
    clawback.expired -= lapsed
    waiting = min(amount - owed - lapsed, clawback.pending)
    clawback.pending -= waiting
    clawback.held -= waiting
    taken = amount - owed - lapsed - waiting
    clawback.clawed -= taken
    _bring(sheet, journal, clawback.lot, owed + taken, manner)
    # Also if the lot has ended and everything else that comes back lapses: this debt was never
    # owed.
    repaid = min(owed, sheet.debt)
    if repaid:
        sheet.write(journal, clawback.lot, Kind.REPAYMENT, Side.FREE, Side.DEBT, repaid)


def _bring(sheet: Sheet, journal: JournalDraft, lot: Lot, amount: int, manner: Manner) -> None:
    """Bring credits back into the lot, as the reversal of these entries as far as they go."""
    for entry_id, entry_amount in reversed(manner.reverses):
        part = min(amount, entry_amount)
        amount -= part
        if part:
            sheet.write(
                journal,
                lot,
                Kind.REVERSAL,
                House.REFUNDED,
                Side.FREE,
                part,
                reverses_entry_id=entry_id,
            )
    if amount:
        sheet.write(journal, lot, Kind.REFUND, House.REFUNDED, Side.FREE, amount)
