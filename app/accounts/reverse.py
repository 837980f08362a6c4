"""Reverse a named journal, or a whole run: once, by entries that negate it, never by edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from app.accounts.book import Book
from app.accounts.reversals import ReversalOrder, Reversed, first_answer, store
from app.db import Database, Record
from app.errors import JournalUnknownError, NotReversibleError, ShortfallError
from app.grants import load
from app.grants.day import AccountDay, Origin
from app.ledger import backings, claws, post, reserved
from app.ledger.claws import Claw, Policy
from app.ledger.kinds import Act, House, Kind, Side
from app.ledger.sheet import JournalDraft

# What each reversible journal's entries are, and which way they are undone.
_GIVING: Final = {
    Act.GRANT: Kind.GRANT,
    Act.OPENING: Kind.GRANT,
    Act.TOP_UP: Kind.GRANT,
    Act.PURCHASE: Kind.PURCHASE,
}
_TAKING: Final = {Act.SPEND: Kind.SPEND, Act.CAPTURE: Kind.SPEND}


@dataclass(frozen=True, slots=True)
class Undone:
    """How much was to be undone, what of it lapsed, and the claw where it had been given."""

    requested: int
    expired: int
    claw: Claw | None


async def reverse_journal(
    book: Book, journal_id: int | None, order: ReversalOrder, *, dry_run: bool
) -> Reversed:
    """Reverse one journal; a second time it returns the first answer.

    Raises JournalUnknownError, NotReversibleError, ShortfallError, KeyReusedError.
    """
    row = await _journal(book.database, journal_id)
    async with book.database.transaction():
        days = await load.lock(book.database, book.catalogues, [await _owner(book.database, row)])
        (day,) = days.values()
        first = await first_answer(book.database, order.key, journal_id=row["id"])
        if first is not None:
            return first
        _refuse_joined(day)
        day.post_due(Origin("due", order.actor))
        header, undone = await draft(book.database, day, row, order)
        planned = answer(row["id"], order, undone)
        if dry_run:
            return msgspec.structs.replace(planned, dry_run=True, number=None, journal_id=None)
        header.answer = msgspec.to_builtins(planned)
        await load.store(book.database, [day])
        number = await store(book.database, day, header, undone.claw, planned, order)
    return msgspec.structs.replace(planned, number=number, journal_id=header.number)


async def _journal(database: Database, journal_id: int | None) -> Record:
    row = await database.fetchrow("SELECT * FROM journals WHERE id = $1", journal_id or 0)
    if row is None:
        raise JournalUnknownError("There is no such journal.")
    if Act(row["kind"]) not in (*_GIVING, *_TAKING, Act.ADJUSTMENT):
        raise NotReversibleError(
            f"A journal of kind {row['kind']} is not reversed; spends, captures, grants, purchases "
            "and adjustments are.",
            kind=row["kind"],
        )
    return row


async def _owner(database: Database, row: Record) -> int:
    owner = await database.fetchrow(
        "SELECT account_id FROM entries WHERE journal_id = $1 LIMIT 1", row["id"]
    )
    if owner is None:
        raise NotReversibleError("This journal moved nothing.", kind=row["kind"])
    number: int = owner["account_id"]
    return number


def _refuse_joined(day: AccountDay) -> None:
    if day.joined_to is not None:
        raise NotReversibleError(
            "The journal's account was joined to another since; adjust that one instead."
        )


async def draft(
    database: Database, day: AccountDay, row: Record, order: ReversalOrder
) -> tuple[JournalDraft, Undone]:
    """Put the reversal of a journal on the account's sheet."""
    entries = await database.fetch(
        "SELECT * FROM entries WHERE journal_id = $1 ORDER BY id", row["id"]
    )
    await post.load_lots(database, day.sheet, {entry["lot_id"] for entry in entries})
    # What was due has moved some already: those stay as they are, and are written.
    moved = {claw.number: claw for claw in day.claws}
    stored = await reserved.claws_of_lots(database, {day.sheet.account_id: day.sheet})
    day.claws = [moved.get(claw.number, claw) for claw in stored[day.sheet.account_id]]
    backed = {backing.number: backing for backing in day.backings}
    behind = await reserved.backings_of_lots(database, day.sheet)
    day.backings = [backed.get(backing.number, backing) for backing in behind]
    header = day.sheet.begin(
        JournalDraft(
            act=Act.REVERSAL,
            source="api",
            actor=order.actor,
            effective_at=day.now,
            reason=order.reason,
            reverses_journal_id=row["id"],
            idempotency_key=order.key.key if order.key else None,
            request_hash=order.key.request_hash if order.key else None,
        )
    )
    kind = Act(row["kind"])
    given = [entry for entry in entries if _gave(kind, entry)]
    if given:
        claw = _take_back(day, header, kind, given[0], order.policy)
        return header, Undone(claw.requested, claw.expired, claw)
    taken = [entry for entry in entries if _took(kind, entry)]
    requested = sum(entry["amount"] for entry in taken)
    return header, Undone(requested, _restore(day, header, taken), None)


def _gave(kind: Act, entry: Record) -> bool:
    if kind is Act.ADJUSTMENT:
        return bool(entry["kind"] == Kind.ADJUSTMENT and entry["credit"] == Side.FREE)
    return kind in _GIVING and entry["kind"] == _GIVING[kind]


def _took(kind: Act, entry: Record) -> bool:
    if kind is Act.ADJUSTMENT:
        return bool(entry["kind"] == Kind.ADJUSTMENT and entry["debit"] == Side.FREE)
    return kind in _TAKING and entry["kind"] == _TAKING[kind]


def _take_back(
    day: AccountDay, header: JournalDraft, kind: Act, entry: Record, policy: Policy
) -> Claw:
    lot = day.sheet.lot(entry["lot_id"])
    assert lot is not None
    claw = Claw(lot, entry["id"], House(entry["debit"]), policy, entry["amount"])
    for backing in day.backings:
        if backing.lot is lot and kind is Act.PURCHASE:
            # What went back with the money is not taken a second time.
            claw.requested -= backing.claw.requested
            backings.close(day.sheet, header, backing)
    lapsed = lot.lapsed - sum(one.expired for one in day.claws_of(lot))
    claws.begin(day.sheet, header, claw, max(0, lapsed), day.spare(lot))
    if policy is Policy.REJECT and claw.shortfall:
        raise ShortfallError(
            f"{claw.shortfall} of {claw.requested} credits were spent already.",
            requested=claw.requested, shortfall=claw.shortfall,
        )  # fmt: skip
    if kind is Act.OPENING and lot is day.lot:
        day.withdrawn = True  # a reversed day stays withdrawn
    _afterwards(day, header)
    return claw


def _restore(day: AccountDay, header: JournalDraft, entries: Sequence[Record]) -> int:
    """Give back what was taken, lot by lot in reverse order; how much lapsed at once."""
    expired = 0
    for entry in reversed(entries):
        lot = day.sheet.lot(entry["lot_id"])
        assert lot is not None
        day.sheet.write(
            header, lot, Kind.REVERSAL, House(entry["credit"]), Side.FREE, entry["amount"],
            reverses_entry_id=entry["id"],
        )  # fmt: skip
        back = entry["amount"]
        for claw in day.claws_of(lot):
            back -= claws.restored(day.sheet, header, claw, back)
        lapsed = lot.lapsed
        day.came_back(header, lot, day.now)
        expired += lot.lapsed - lapsed
    _afterwards(day, header)
    return expired


def _afterwards(day: AccountDay, header: JournalDraft) -> None:
    day.changed = True
    day.settle(day.now, Origin("api", header.actor))
    day.refresh_due()


def answer(of_journal_id: int, order: ReversalOrder, undone: Undone) -> Reversed:
    claw = undone.claw
    return Reversed(
        number=None,
        journal_id=None,
        of_journal_id=of_journal_id,
        of_run_id=None,
        policy=str(order.policy),
        state="done",
        requested=undone.requested,
        clawed=claw.clawed if claw else 0,
        held=claw.held if claw else 0,
        shortfall=claw.shortfall if claw else 0,
        expired=undone.expired,
    )
