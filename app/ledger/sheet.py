"""One locked account in memory: its sides, its live lots, and the entries that change them.

Pure: ``app.ledger.post`` loads a sheet after it has the account's row lock, and writes what was
drafted on it. Reads use the same sheet and throw it away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.errors import InsufficientCreditsError, RefusedError
from app.infrastructure.ids import (
    AccountNumber,
    EntryNumber,
    HoldNumber,
    JournalNumber,
    LotNumber,
    RunNumber,
)
from app.ledger.kinds import AMOUNT_MAX, BALANCE_MAX, PRIORITY, Act, House, Kind, LotSource, Side


@dataclass(slots=True, eq=False)
class Lot:
    """A lot: one grant, and what is left of it; ``number`` is None until it is written."""

    account_id: AccountNumber
    source: LotSource
    priority: int
    granted_at: datetime
    expires_at: datetime
    granted: int = 0
    lapsed: int = 0
    moved: int = 0  # by transfers, into and out of the free part
    refunded: int = 0  # taken for money back, less what came again
    free: int = 0
    held: int = 0
    number: LotNumber | None = None
    of_running_day: bool = False
    changed: bool = False

    @property
    def live(self) -> bool:
        """Return whether spends and openings still need this lot."""
        return self.free > 0 or self.held > 0 or self.of_running_day

    @property
    def drawn(self) -> int:
        """Return what was used of this lot and did not come back: without what expired or moved on.

        What another lot moved in is in ``granted`` and in ``moved``: it counts as having come
        back.
        """
        return self.granted - self.lapsed - self.moved - self.free

    def burn_order(self) -> tuple[int, datetime, datetime, int]:
        """Return the sort key of burning: priority, soonest expiry, earliest grant."""
        return (self.priority, self.expires_at, self.granted_at, self.number or 2**63)


@dataclass(slots=True, eq=False)
class EntryDraft:
    """One future entry: a debit account, a credit account, a positive amount."""

    account_id: AccountNumber
    lot: Lot
    kind: Kind
    debit: Side | House
    credit: Side | House
    amount: int
    free_after: int
    held_after: int
    debt_after: int
    effective_at: datetime
    hold_id: HoldNumber | None = None
    reverses_entry_id: EntryNumber | None = None

    @property
    def change(self) -> int:
        """Return the change of the account's balance."""
        return self.amount * (isinstance(self.credit, Side) - isinstance(self.debit, Side))


@dataclass(slots=True, eq=False)
class JournalDraft:
    """The header of one act; its number and its entries' numbers are known after writing."""

    act: Act
    source: str
    actor: str
    effective_at: datetime
    reason: str | None = None
    metadata: dict[str, str] | None = None
    label: str | None = None  # the purpose of the spend
    member: str | None = None  # the member of the account's team who spent
    event_id: str | None = None
    run_id: RunNumber | None = None
    reverses_journal_id: JournalNumber | None = None
    idempotency_key: str | None = None
    request_hash: bytes | None = None
    answer: dict[str, object] | None = None
    answer_follows: bool = False  # from the entries, as `idempotency` reads it: it is not stored
    number: JournalNumber | None = None
    entry_numbers: list[EntryNumber] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Sheet:
    """An account's sides and live lots, as its row lock shows them."""

    account_id: AccountNumber
    free: int
    held: int
    debt: int
    lots: list[Lot]
    now: datetime
    suspended: bool = False
    journals: list[JournalDraft] = field(default_factory=list)
    # In drafting order over all journals: an entry's balance after it follows from the entry before
    # it.
    drafted: list[tuple[JournalDraft, EntryDraft]] = field(default_factory=list)

    @property
    def balance(self) -> int:
        """Return free + held - debt."""
        return self.free + self.held - self.debt

    def lot(self, number: LotNumber | None) -> Lot | None:
        """The live lot of this number."""
        return next((lot for lot in self.lots if lot.number == number), None) if number else None

    def spendable(self) -> list[Lot]:
        """Return the lots a spend may draw from now, in burn order: no sweeper is needed."""
        alive = [lot for lot in self.lots if lot.free > 0 and lot.expires_at > self.now]
        return sorted(alive, key=Lot.burn_order)

    @property
    def available(self) -> int:
        """Return what a spend would find, if everything due is posted."""
        return 0 if self.suspended else sum(lot.free for lot in self.spendable())

    def begin(self, journal: JournalDraft) -> JournalDraft:
        """Put a journal on the sheet; the methods below add its entries."""
        self.journals.append(journal)
        return journal

    def grant(
        self,
        journal: JournalDraft,
        source: LotSource,
        amount: int,
        expires_at: datetime,
        *,
        priority: int | None = None,
        house: House = House.ISSUED,
        kind: Kind = Kind.GRANT,
    ) -> Lot:
        """Open a lot with this amount; an amount of 0 opens an empty one."""
        self.check_room(amount)  # first, so that a refusal leaves nothing drafted
        lot = Lot(
            account_id=self.account_id,
            source=source,
            priority=PRIORITY[source] if priority is None else priority,
            granted_at=journal.effective_at,
            expires_at=expires_at,
            changed=True,
        )
        self.lots.append(lot)
        if amount:
            self.add(journal, lot, amount, kind=kind, house=house)
        return lot

    def add(
        self,
        journal: JournalDraft,
        lot: Lot,
        amount: int,
        *,
        kind: Kind = Kind.GRANT,
        house: House = House.ISSUED,
    ) -> None:
        """Credit a lot from a house account; it repays debt at once."""
        self.check_room(amount)
        lot.granted += amount
        self.write(journal, lot, kind, house, Side.FREE, amount)
        self.repay(journal, lot)

    @property
    def room(self) -> int:
        """Return how many more credits the account can have."""
        return BALANCE_MAX - self.free - self.held

    def check_room(self, amount: int) -> None:
        """Raise RefusedError if this many more credits would pass the largest allowed balance."""
        if amount > self.room:
            raise RefusedError(
                f"The balance would pass {BALANCE_MAX} credits.", maximum=BALANCE_MAX
            )

    def repay(self, journal: JournalDraft, lot: Lot) -> None:
        """Repay debt from the lot: debt never exists beside free credits."""
        amount = min(self.debt, lot.free)
        if amount:
            self.write(journal, lot, Kind.REPAYMENT, Side.FREE, Side.DEBT, amount)

    def spend(self, journal: JournalDraft, amount: int, next_grant_at: datetime | None) -> None:
        """Draw the amount in burn order, all or nothing; raise InsufficientCreditsError."""
        for lot, part in self.draws(amount, next_grant_at):
            self.write(journal, lot, Kind.SPEND, Side.FREE, House.SPENT, part)

    def draws(self, amount: int, next_grant_at: datetime | None) -> Iterator[tuple[Lot, int]]:
        """Return (lot, part) in burn order; raise InsufficientCreditsError before drawing
        anything.
        """
        lots = self.spendable()
        available = sum(lot.free for lot in lots)
        if available < amount:
            raise InsufficientCreditsError(
                f"Credits needed: {amount}; available: {available}.",
                available=available,
                required=amount,
                next_grant_at=next_grant_at,
            )
        for lot in lots:
            if amount == 0:
                return
            part = min(lot.free, amount)
            amount -= part
            yield lot, part

    def sum_of(self, journal: JournalDraft, kind: Kind, into: Lot | None = None) -> int:
        """Return the sum of the journal's entries of this kind; with ``into``, of those that
        credit it.
        """
        return sum(
            entry.amount
            for header, entry in self.drafted
            if header is journal
            and entry.kind is kind
            and (into is None or (entry.lot is into and entry.credit is Side.FREE))
        )

    def expire(
        self,
        journal: JournalDraft,
        lot: Lot,
        amount: int | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """Expire a lot's free credits, or this much of them, at ``at`` or else at the journal's
        time.
        """
        amount = lot.free if amount is None else amount
        if amount:
            lot.lapsed += amount
            self.write(journal, lot, Kind.EXPIRY, Side.FREE, House.EXPIRED, amount, at=at)

    def carry(
        self,
        journal: JournalDraft,
        lots: Sequence[Lot],
        most: int,
        into: Lot | None,
        *,
        ended_at: datetime | None = None,
    ) -> int:
        """Move up to ``most`` free credits of ended lots into another lot; the rest expires.

        Returns how much was moved; 0 if ``into`` is None.
        """
        moved = 0
        for lot in lots:
            part = min(lot.free, most - moved) if into else 0
            self.expire(journal, lot, lot.free - part, at=ended_at)
            if part and into:
                self.transfer(journal, lot, into, part)
                moved += part
        return moved

    def transfer(self, journal: JournalDraft, lot: Lot, into: Lot, amount: int) -> None:
        """Move free credits into another lot: two entries whose sum is 0."""
        self.write(journal, lot, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, amount)
        self.add(journal, into, amount, kind=Kind.TRANSFER, house=House.TRANSFERRED)

    def write(
        self,
        journal: JournalDraft,
        lot: Lot,
        kind: Kind,
        debit: Side | House,
        credit: Side | House,
        amount: int,
        *,
        hold_id: HoldNumber | None = None,
        reverses_entry_id: EntryNumber | None = None,
        at: datetime | None = None,
    ) -> None:
        """Draft an entry, and change the sheet's sides and the lot with it.

        An amount above the largest of one entry, such as a joined account's debt, becomes several
        entries.
        """
        for done in range(0, amount, AMOUNT_MAX):
            part = min(amount - done, AMOUNT_MAX)
            self._move(lot, debit, -part)
            self._move(lot, credit, part)
            if kind is Kind.TRANSFER and Side.FREE in (debit, credit):
                lot.moved += part
            elif House.REFUNDED in (debit, credit) and Side.DEBT not in (debit, credit):
                lot.refunded += part if credit is House.REFUNDED else -part
            entry = EntryDraft(
                account_id=self.account_id,
                lot=lot,
                kind=kind,
                debit=debit,
                credit=credit,
                amount=part,
                free_after=self.free,
                held_after=self.held,
                debt_after=self.debt,
                effective_at=at or journal.effective_at,
                hold_id=hold_id,
                reverses_entry_id=reverses_entry_id,
            )
            self.drafted.append((journal, entry))

    def _move(self, lot: Lot, place: Side | House, amount: int) -> None:
        lot.changed = True
        if place is Side.FREE:
            self.free += amount
            lot.free += amount
        elif place is Side.HELD:
            self.held += amount
            lot.held += amount
        elif place is Side.DEBT:
            self.debt -= amount  # to credit the debt side is to lower what is owed
