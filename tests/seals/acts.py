"""Acts on a book, and its leaves as the database has them."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any

from app.accounts.put import put
from app.book import Book
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.ledger.idempotency import request_key
from app.seals import leaves, recompute
from app.seals.evidence import evidence, require_numbers, written
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
    return [leaves.read(leaf) async for leaf in recompute.leaves_of(database)]


async def evidence_of(
    database: Database, account_id: str, at: datetime | None = None, since: int | None = None
) -> bytes:
    """The evidence file of an account."""
    numbers = await require_numbers(database, account_id)
    return written(await evidence(database, account_id, numbers, at, since))


def resigned(told: dict[str, Any]) -> bytes:
    """The file of forged evidence, with a hash of its own that fits."""
    stated = {name: value for name, value in told.items() if name != "sha256"}
    stated["sha256"] = sha256(leaves.canonical(stated)).hexdigest()
    return written(stated)
