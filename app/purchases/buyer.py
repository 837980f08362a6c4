"""Whose purchase a Checkout session is: its customer's account, else the one that it names."""

from __future__ import annotations

import msgspec

from app.accounts import ties
from app.accounts.claims import is_account_id
from app.accounts.open import TieRank, insert, is_a_customers, lock_id, open_day
from app.accounts.ties import ClaimOutcome
from app.allowance.day import Origin
from app.allowance.store import store_days
from app.book import Book
from app.purchases.facts import SessionFact


class Buyer(msgspec.Struct, frozen=True):
    """The account, and what became of the session's claim on its customer."""

    account: int
    claim: ClaimOutcome | None = None


class Unplaced(msgspec.Struct, frozen=True):
    """Nobody's: the reason, and the remedy."""

    reason: str


async def find_buyer(book: Book, fact: SessionFact, origin: Origin) -> Buyer | Unplaced:
    """The account of the session's customer, tied as its client_reference_id says.

    A guest's session has no customer: then the account is the one that it names, by either of its
    ids, opened where nobody has yet.
    """
    if fact.customer_id is not None:
        return await _of_customer(book, fact, fact.customer_id, origin)
    for name in (fact.client_reference_id, fact.account_hint):
        if name and is_account_id(name):
            if await is_a_customers(book, name, None):
                return Buyer(await ties.account_of_customer(book, name, origin))
            return Buyer(await _account_of(book, name, origin))
    return Unplaced(
        "paid by a guest, and whose it is is not told: set client_reference_id on the session; "
        "this one's credits can be given by POST /api/v1/accounts/{id}/grants"
    )


async def _of_customer(book: Book, fact: SessionFact, customer_id: str, origin: Origin) -> Buyer:
    """A tie that is in conflict loses no purchase: it is the customer's, wherever that is tied."""
    if not fact.client_reference_id:
        return Buyer(await ties.account_of_customer(book, customer_id, origin))
    claim = await ties.claim(
        book,
        customer_id,
        fact.client_reference_id,
        TieRank.CLIENT_REFERENCE,
        origin,
        event_id=fact.event_id,
        occurred_at=fact.occurred_at,
    )
    return Buyer(claim.account, claim)


async def _account_of(book: Book, external_id: str, origin: Origin) -> int:
    await lock_id(book, external_id)
    query = "SELECT id FROM accounts WHERE external_id = $1"
    number: int | None = await book.database.fetchval(query, external_id)
    if number is None:
        number = await insert(book, external_id, "UTC")
        assert number is not None, "the id is locked"
        await store_days(book.database, [await open_day(book, number, origin)])
    return number
