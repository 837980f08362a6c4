"""An account's holds, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.accounts.open import require
from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.book import Book
from app.ledger import reserved
from app.ledger.holds import HoldState

if TYPE_CHECKING:
    from app.ledger.row_types import ReservedHoldsOf

_LAST = 2**63 - 1


async def holds(
    book: Book, public_id: str, state: HoldState | None, cursor: str | None, limit: int
) -> Page[ReservedHoldsOf]:
    """Return one page, newest first; raise AccountUnknownError, InvalidCursorError."""
    number = await require(book, public_id)
    asked = {"account": number, "state": state}
    before = cursors.decode_number(cursor, asked, _LAST)
    rows = await reserved.holds_of(book.database, number, state, before, limit + 1)
    return cursors.page(rows, limit, asked)
