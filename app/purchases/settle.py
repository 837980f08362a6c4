"""Post the difference between what a purchase's lot is owed and what is posted."""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import BackingNumber
from app.ledger import backings, post, reserved
from app.ledger.backings import Backing, Manner
from app.ledger.clawbacks import Clawback
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft
from app.purchases import gifts, store
from app.purchases.derive import MoneyBack, Owing, Standing, money_back, owing
from app.purchases.facts import MoneyFact
from app.purchases.store import Payment


class Backed(msgspec.Struct, frozen=True):
    """A purchase whose account is locked, with what is due posted on its sheet."""

    row: Record
    day: AccountDay
    backing: Backing
    facts: list[MoneyFact]
    parts: list[MoneyBack]
    owed: Owing

    @property
    def settled(self) -> bool:
        """Return whether nothing is to be posted."""
        stands = Owing(self.backing.clawback.requested, self.backing.to_freeze)
        return self.backing.closed or stands == self.owed


class Settled(msgspec.Struct, frozen=True):
    """A purchase after its facts were added up again, and whether that moved credits."""

    backed: Backed
    moved: bool


async def settle(
    book: Book, row: Record, payment: Payment, origin: Origin, at: datetime
) -> Settled:
    """Post the difference between what the payment's facts require and what is posted.

    Call it in the event's transaction.
    """
    backed = await lock(book, row, payment, origin)
    moved = not backed.settled
    if moved:
        payer = await gifts.payer_of(book, row, backed.day) if backed.backing.gift else None
        before = backed.backing.clawback.expired
        part = _post(backed, origin, at, gifts.manner_of(backed.backing, backed.day, payer))
        if backed.backing.gift:
            returned = before - backed.backing.clawback.expired
            await gifts.follow(book, row, backed.day, backed.backing, payer, part, returned, origin)
    await store_days(book.database, [backed.day])
    await store.keep(book.database, row["payment_key"], backed.parts)
    return Settled(backed, moved)


async def lock(
    book: Book,
    row: Record,
    payment: Payment,
    origin: Origin,
    pin: tuple[str, Standing] | None = None,
) -> Backed:
    """Lock the account that has the lot now, and derive what the lot is owed.

    Facts and reversals are read after the lock, so that everything the last holder committed is
    seen. ``pin`` is an event that is about to be reversed.
    """
    database = book.database
    day = await _lock(book, row["backing_id"])
    day.post_due(origin)
    backing = await _backing(database, day, row["backing_id"])
    facts = await store.facts_of(database, payment)
    pins = await store.pins_of(database, facts)
    pins |= dict([pin]) if pin else {}
    parts = money_back(facts, row["currency"], pins)
    return Backed(row, day, backing, facts, parts, owing(row["credits"], row["paid"], parts))


async def _lock(book: Book, backing_id: BackingNumber) -> AccountDay:
    """Lock the account; where it was joined meanwhile, the one that has the lot now."""
    query = "SELECT account_id FROM backings WHERE id = $1"
    number = await book.database.fetchval(query, backing_id)
    while True:
        day = (await load.lock(book.database, book.catalogues, [number]))[number]
        now_at = await book.database.fetchval(query, backing_id)
        if now_at == number:
            return day
        number = now_at


async def _backing(database: Database, day: AccountDay, number: BackingNumber) -> Backing:
    """The backing as what was due has left it, else as it is stored."""
    known = next((one for one in day.backings if one.number == number), None)
    if known is not None:
        return known
    lot_id = await database.fetchval("SELECT lot_id FROM backings WHERE id = $1", number)
    await post.load_lots(database, day.sheet, [lot_id])
    behind = await reserved.backings_of_lots(database, day.sheet)
    backing = next(one for one in behind if one.number == number)
    day.backings.append(backing)
    return backing


def _post(backed: Backed, origin: Origin, at: datetime, manner: Manner) -> Clawback:
    """Post one journal for the event; none if everything waits for releases or had expired."""
    refunding = backed.owed.taken != backed.backing.clawback.requested
    thawing = backed.owed.frozen < backed.backing.to_freeze
    act = Act.REFUND if refunding else Act.UNFREEZE if thawing else Act.FREEZE
    header = JournalDraft(
        act, origin.source, origin.actor, min(at, backed.day.now), event_id=origin.event_id
    )
    part = draft(backed, header, manner)
    begin(backed.day, header)
    return part


def draft(backed: Backed, header: JournalDraft, manner: Manner) -> Clawback:
    """Draft the difference on the account's sheet; return the clawback's change."""
    day, backing = backed.day, backed.backing
    lot = backing.lot
    part = backings.settle(
        day.sheet,
        header,
        backing,
        taken=backed.owed.taken,
        frozen=backed.owed.frozen,
        lapsed=max(0, lot.lapsed - backing.clawback.expired),
        held=day.spare(lot),
        manner=manner,
    )
    day.came_back(header, [lot], day.now)
    day.changed = True
    day.refresh_due()
    return part


def begin(day: AccountDay, header: JournalDraft) -> bool:
    """Put the journal on the sheet if it has entries; return whether it has."""
    moved = any(journal is header for journal, _ in day.sheet.drafted)
    if moved:
        day.sheet.begin(header)
    return moved
