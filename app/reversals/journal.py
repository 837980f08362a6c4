"""Reverse a named journal once, by entries that negate it; nothing is edited."""

from __future__ import annotations

import msgspec

from app.allowance.origin import Origin
from app.book import Book
from app.errors import JournalUnknownError, NotReversibleError
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, JournalNumber
from app.ledger.kinds import Act
from app.reversals import draft, parties
from app.reversals.parties import Undone
from app.reversals.record import ReversalOrder, Reversed, first_answer, store


async def reverse_journal(
    book: Book, journal_id: JournalNumber | None, order: ReversalOrder, *, dry_run: bool
) -> Reversed:
    """Reverse one journal; a second call returns the first answer.

    Raises JournalUnknownError, NotReversibleError, ShortfallError, KeyReusedError.
    """
    row = await _journal(book.database, journal_id)
    async with book.database.transaction():
        owner = await _owner(book.database, row)
        locked = await parties.lock(book.database, book.catalogues, [owner])
        first = await first_answer(book.database, order.key, journal_id=row["id"])
        if first is not None:
            return first
        locked.present.post_due(Origin("due", order.actor))
        header, undone = await draft.draft(book.database, locked, row, order)
        planned = answer(row["id"], order, undone)
        if dry_run:
            return msgspec.structs.replace(planned, dry_run=True, number=None, journal_id=None)
        header.answer = msgspec.to_builtins(planned)
        await parties.write(book.database, locked, undone)
        number = await store(book.database, locked.present, header, undone, planned, order)
    return msgspec.structs.replace(planned, number=number, journal_id=header.number)


async def _journal(database: Database, journal_id: JournalNumber | None) -> Record:
    row = await database.fetchrow("SELECT * FROM journals WHERE id = $1", journal_id or 0)
    if row is None:
        raise JournalUnknownError("There is no such journal.")
    if Act(row["kind"]) not in (*draft.GIVING, *draft.TAKING, Act.ADJUSTMENT, Act.RETURN):
        raise NotReversibleError(
            f"A journal of kind {row['kind']} is not reversed; spends, captures, returns, grants, "
            "purchases and adjustments are.",
            kind=row["kind"],
        )
    return row


async def _owner(database: Database, row: Record) -> AccountNumber:
    """Return the account of the journal: of a return after a join, the one that has its lots."""
    owner = await database.fetchrow(
        "SELECT account_id FROM entries WHERE journal_id = $1 ORDER BY id DESC LIMIT 1", row["id"]
    )
    if owner is None:
        raise NotReversibleError("This journal moved nothing.", kind=row["kind"])
    number: AccountNumber = owner["account_id"]
    return number


def answer(of_journal_id: JournalNumber, order: ReversalOrder, undone: Undone) -> Reversed:
    return Reversed(
        number=None,
        journal_id=None,
        of_journal_id=of_journal_id,
        of_run_id=None,
        policy=str(order.policy),
        state="done",
        requested=undone.requested,
        clawed=undone.clawed,
        held=sum(one.held for one in undone.clawbacks),
        shortfall=sum(one.shortfall for one in undone.clawbacks),
        expired=undone.expired,
        carried=undone.carried,
    )
