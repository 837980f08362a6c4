"""Return part of a spend: the credits that a failed or unfinished job gives back.

They go back to the lots they came from, the last one drawn first, as in a reversal. A return needs
no operator, may come in parts, and never exceeds what was spent and has not come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from app.accounts.open import find, unknown
from app.allowance.origin import Origin
from app.book import Book
from app.errors import HoldUnknownError, JournalUnknownError, ReturnExceedsSpendError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, HoldNumber, JournalNumber
from app.ledger import idempotency
from app.ledger.idempotency import Key
from app.ledger.kinds import Act, Kind
from app.ledger.sheet import JournalDraft
from app.reversals import draft, parties
from app.spending.keyed import Done, Order, replay

if TYPE_CHECKING:
    from app.reversals import row_types


_SQL: Final[row_types.ReturnsSql] = sql.beside(__file__)


class ReturnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The spend, named in one of three ways, and the amount; without an amount, all that
    is left.
    """

    spend: JournalNumber | None = None
    hold: HoldNumber | None = None
    of_key: Key | None = None
    amount: int | None = None


async def give_back(book: Book, public_id: str, wanted: ReturnOrder, order: Order) -> Done:
    """Return credits of a spend; under one key it happens once.

    Raises AccountUnknownError, JournalUnknownError, HoldUnknownError, ReturnExceedsSpendError,
    KeyReusedError. A closed or suspended account gets its credits back too.
    """
    number = await find(book, public_id)
    async with book.database.transaction():
        if number is not None:
            journals = await _journals(book.database, number, wanted)
            locked = await parties.lock(
                book.database, book.catalogues, [row["account_id"] for row in journals]
            )
        stored = await idempotency.stored(book.database, order.key)
        if stored is not None:
            return replay(stored)
        if number is None:
            raise unknown(public_id)
        day = locked.present
        day.post_due(Origin("due", order.actor))
        ids = [row["id"] for row in journals]
        spent = await book.database.fetch(draft.ENTRIES(journal_ids=ids))
        spent = [entry for entry in spent if entry["kind"] == Kind.SPEND]
        parts = _parts(spent, wanted.amount)
        header = day.sheet.begin(
            JournalDraft(
                act=Act.RETURN,
                source="api",
                actor=order.actor,
                effective_at=day.now,
                reason=order.reason,
                metadata=order.metadata,
                label=_shared(journals, "label"),
                member=_shared(journals, "member"),
                idempotency_key=order.key.key,
                request_hash=order.key.request_hash,
            )
        )
        entries = [entry for entry, _ in parts]
        await parties.load_lots(book.database, locked, header, entries, parts)
        undone = draft.restore(locked, header, parts, Kind.RETURN)
        await parties.settle(book.database, locked, header, undone)
        came_back = sum(entry["amount"] - entry["amount_left"] for entry in spent)
        header.answer = {
            "account_id": public_id,
            "spends": ids,
            "amount": undone.requested,
            "returned": came_back + undone.requested,
            "carried": undone.carried,
            "balance": day.sheet.balance,
            "available": day.sheet.available,
        }
        await parties.write(book.database, locked, undone)
    assert header.number is not None
    return Done(
        journal_id=header.number,
        entry_ids=tuple(header.entry_numbers),
        answer=header.answer,
        replayed=False,
    )


async def _journals(database: Database, number: AccountNumber, wanted: ReturnOrder) -> list[Record]:
    """Return the journals of the spend, of this account or of one that was joined to it."""
    rows = await database.fetch(
        _SQL["journals"](
            account_id=number,
            journal_id=wanted.spend,
            hold_id=wanted.hold,
            key=wanted.of_key and wanted.of_key.text,
            key_hash=wanted.of_key and wanted.of_key.hash,
        )
    )
    if rows:
        return rows
    if wanted.hold is None:
        raise JournalUnknownError("The account has no such spend.")
    if await database.fetchval(_SQL["has_hold"](account_id=number, hold_id=wanted.hold)):
        raise ReturnExceedsSpendError("Nothing of the hold was captured.", returnable=0)
    raise HoldUnknownError("The account has no such hold.")


def _shared(journals: Sequence[Record], column: str) -> str | None:
    """Return the label or member that all these spends have; None if they differ."""
    said = {row[column] for row in journals}
    return said.pop() if len(said) == 1 else None


def _parts(spent: Sequence[Record], amount: int | None) -> list[tuple[Record, int]]:
    """Return (entry, how much of it comes back), from the last entry on, up to the amount."""
    left = sum(entry["amount_left"] for entry in spent)
    wanted = left if amount is None else amount
    if wanted > left or wanted == 0:
        raise ReturnExceedsSpendError(
            f"{left} credits of it can come back, not {wanted or 'any'}.", returnable=left
        )
    parts = []
    for entry in reversed(spent):
        part = min(entry["amount_left"], wanted)
        wanted -= part
        if part:
            parts.append((entry, part))
    return parts[::-1]
