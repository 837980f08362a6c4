"""Whose purchase a Checkout session is: its customer's account, else the one that it names."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from app.accounts.book import Book
from app.accounts.open import account_of_customer, insert, lock_id, open_day
from app.grants import load
from app.grants.day import Origin
from app.purchases.facts import SessionFact

_ACCOUNT_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


class Buyer(msgspec.Struct, frozen=True):
    """The account."""

    account: int


class Unplaced(msgspec.Struct, frozen=True):
    """Nobody's: the reason, and the remedy."""

    reason: str


async def find_buyer(book: Book, fact: SessionFact, origin: Origin) -> Buyer | Unplaced:
    """The account of the session's customer, tied as its client_reference_id says.

    A guest's session has no customer: then the account is the one that it names, opened where
    nobody has yet.
    """
    if fact.customer_id is not None:
        return Buyer(await account_of_customer(book, fact.customer_id, origin))
    for name in (fact.client_reference_id, fact.account_hint):
        if name is not None and _ACCOUNT_ID.fullmatch(name):
            return Buyer(await _account_of(book, name, origin))
    return Unplaced(
        "paid by a guest, and whose it is is not told: set client_reference_id on the session; "
        "this one's credits can be given by POST /api/v1/accounts/{id}/grants"
    )


async def _account_of(book: Book, external_id: str, origin: Origin) -> int:
    await lock_id(book, external_id)
    query = "SELECT id FROM accounts WHERE external_id = $1"
    number: int | None = await book.database.fetchval(query, external_id)
    if number is None:
        number = await insert(book, external_id, "UTC")
        assert number is not None, "the id is locked"
        await load.store(book.database, [await open_day(book, number, origin)])
    return number
