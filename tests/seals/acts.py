"""Acts on a book, and its leaves as the database has them."""

from __future__ import annotations

from app.accounts.put import put
from app.book import Book
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.ledger.idempotency import request_key
from app.seals import leaves, recompute
from app.spending.spend import SpendOrder, spend

_LEAVES = sql.beside(leaves.__file__)
_keys = iter(range(10**9))


async def open_and_spend(book: Book, account_id: str, amount: int) -> None:
    """Open the account if need be, and spend."""
    await put(book, account_id, None, None, "tests")
    key = request_key(f"key-{next(_keys)}", "POST", "/", {"amount": amount})
    await spend(book, [SpendOrder(account_id=account_id, amount=amount, actor="tests", key=key)])


async def leaves_of(database: Database) -> list[leaves.Leaf]:
    """Every sealed entry's leaf, from the ledger and the salts."""
    return [leaf async for leaf in recompute.leaves_of(database)]
