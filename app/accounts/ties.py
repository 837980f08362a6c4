"""Whose account a customer is: every event's claim is kept, and the tie derived from all.

PUT comes first and no event undoes it; then the best rank of the claims that stand, and within
a rank the earliest. A late claim that is better moves the customer: an account that had only
the customer's own id is named, or joined with its history; from one that the application named
the customer takes its subscriptions and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from app.accounts import claims
from app.accounts.claims import Claim, Said
from app.accounts.join import join, move_customer
from app.accounts.open import (
    TieRank,
    insert,
    is_a_customers,
    lock_customer,
    lock_id,
    open_day,
    tie,
    try_lock_id,
)
from app.allowance.day import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import BusyError


class Claimed(StrEnum):
    """What became of an event's claim on a customer."""

    TIED = "tied"  # the customer is this account's from now on
    ALREADY = "already"  # it was before
    OUTRANKED = "outranked"  # something of a better rank, or a later snapshot, says otherwise
    CONFLICT = "conflict"  # an earlier event of the same rank names another account
    INVALID = "invalid"  # no account could have this id, or a customer has it


class ClaimOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the claim, why, and the account that the customer has now.

    ``displaced`` is the event, if any, whose claim held until now and lost to an earlier one of
    its rank: its verdict is to become parked, for ``reason``.
    """

    claimed: Claimed
    account: int
    reason: str
    displaced: str | None = None


class LockedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer under its lock: where it is tied, by what, and all claims on it.

    ``account`` is None where nobody introduced it yet; ``deleted_at`` is of its earliest deletion.
    """

    id: str
    account: int | None
    external_id: str | None
    rank: TieRank
    claims: Sequence[Claim]
    locked_id: str | None
    deleted_at: datetime | None
    deleted_event_id: str | None
    catalogue_id: int  # the one in force


async def claim(
    book: Book,
    customer_id: str,
    external_id: str,
    rank: TieRank,
    origin: Origin,
    *,
    event_id: str,
    occurred_at: datetime,
) -> ClaimOutcome:
    """An event names the customer's account: keep its claim and let the tie follow.

    For a Checkout session and for a customer's own metadata, which an empty ``external_id``
    says to name nobody. Opens the customer's account where it has none. Call it inside the
    event's transaction; the event's row stands already.
    """
    valid = not external_id or claims.is_account_id(external_id)
    customer = await lock(book, customer_id, external_id if valid else None)
    refused = None if valid else f"{external_id[:60]!a} is no account id"
    if valid and await is_a_customers(book, external_id, customer_id):
        refused = f"{external_id} is another customer's id"
    if refused is not None:
        number = await settle(book, customer, origin)
        return ClaimOutcome(claimed=Claimed.INVALID, account=number, reason=refused)
    said = Said(
        rank=rank,
        object_id=customer_id if rank is TieRank.CUSTOMER_METADATA else "",
        external_id=external_id,
        event_id=event_id,
        occurred_at=occurred_at,
    )
    return await take(book, customer, said, origin)


async def lock(book: Book, customer_id: str, external_id: str | None) -> LockedCustomer:
    """Lock the application's id that an event names, then the customer; what stands of both."""
    if external_id:
        await lock_id(book, external_id)
    await lock_customer(book, customer_id)
    # A second statement, whose snapshot is taken under the lock.
    rows = await book.database.fetch(
        """SELECT account_id, customers.rank AS tie_rank, deleted_at, deleted_event_id,
                  accounts.external_id AS tied_id, claims.*,
                  (SELECT max(id) FROM catalogues) AS catalogue_id
             FROM (VALUES ($1::text)) AS asked (id)
             LEFT JOIN customers USING (id) LEFT JOIN accounts ON accounts.id = account_id
             LEFT JOIN claims ON claims.customer_id = asked.id""",
        customer_id,
    )
    row = rows[0]
    return LockedCustomer(
        id=customer_id,
        account=row["account_id"],
        external_id=row["tied_id"],
        rank=TieRank(row["tie_rank"] or TieRank.OWN_ID),
        claims=[claims.of_row(one) for one in rows if one["customer_id"] is not None],
        locked_id=external_id,
        deleted_at=row["deleted_at"],
        deleted_event_id=row["deleted_event_id"],
        catalogue_id=row["catalogue_id"],
    )


async def account_of_customer(book: Book, customer_id: str, origin: Origin) -> int:
    """Lock the customer and return its account, opened here where nobody introduced it."""
    return await settle(book, await lock(book, customer_id, None), origin)


async def take(book: Book, customer: LockedCustomer, said: Said, origin: Origin) -> ClaimOutcome:
    """Keep what the event says of a locked customer, and let the tie follow."""
    after = claims.with_said(customer.claims, said)
    await claims.store(book.database, customer.id, customer.claims, after)
    held_before = claims.best(customer.claims)
    customer = msgspec.structs.replace(customer, claims=after)
    number = await settle(book, customer, origin)
    return _outcome(customer, said, held_before, number)


async def settle(book: Book, customer: LockedCustomer, origin: Origin) -> int:
    """Tie the locked customer as its claims say; the account it has then."""
    holds = claims.best(customer.claims)
    if customer.account is not None and customer.rank is TieRank.PUT:
        return customer.account
    wanted = holds.external_id if holds else None
    rank = holds.rank if holds else TieRank.OWN_ID
    if customer.account is not None and customer.external_id == wanted:
        if customer.rank is not rank:
            await tie(book, customer.id, customer.account, rank)
        return customer.account
    if wanted is not None and wanted != customer.locked_id and not await try_lock_id(book, wanted):
        raise BusyError(f"The account {wanted!r} is being named at this moment.")
    number = await _account(book, customer, wanted, origin)
    await tie(book, customer.id, number, rank)
    return number


async def _account(book: Book, customer: LockedCustomer, wanted: str | None, origin: Origin) -> int:
    """The account of this id, or one of the customer's own, with what the customer brings."""
    known: int | None = await book.database.fetchval(
        "SELECT id FROM accounts WHERE external_id = $1", wanted
    )
    source = customer.account
    if source is None:
        return known if known is not None else await _open(book, wanted, origin)
    if customer.external_id is not None:
        target = known if known is not None else await _open(book, wanted, origin)
        await move_customer(book, customer.id, source, target, origin)
        return target
    if known is not None:
        await join(book, source, known, origin)
        return known
    await book.database.execute(
        "UPDATE accounts SET external_id = $2 WHERE id = $1", source, wanted
    )
    return source  # history and all


async def _open(book: Book, external_id: str | None, origin: Origin) -> int:
    number = await insert(book, external_id, "UTC")
    if number is None:
        raise BusyError(f"The account {external_id!r} is being opened at this moment.")
    await store_days(book.database, [await open_day(book, number, origin)])
    return number


def _outcome(
    customer: LockedCustomer, said: Said, held_before: Claim | None, number: int
) -> ClaimOutcome:
    holds = claims.best(customer.claims)
    named = said.external_id or None
    if customer.rank is TieRank.PUT and customer.account is not None:
        same = named is None or customer.external_id == named
        return ClaimOutcome(
            claimed=Claimed.ALREADY if same else Claimed.OUTRANKED,
            account=number,
            reason=f"the application tied {customer.id} to {customer.external_id}",
        )
    if named is None or (holds is not None and holds.external_id == named):
        return ClaimOutcome(
            claimed=Claimed.ALREADY if customer.external_id == named else Claimed.TIED,
            account=number,
            reason=f"{customer.id} is {named}'s" if named else f"{customer.id} names no account",
            displaced=_displaced(held_before, customer.claims),
        )
    return _lost(customer, said, number)


def _lost(customer: LockedCustomer, said: Said, number: int) -> ClaimOutcome:
    holds = claims.best(customer.claims)
    by = f"{holds.external_id}'s by {holds.first_event_id}" if holds else "nobody's by now"
    conflict = holds is not None and holds.rank is said.rank and _stands(said, customer.claims)
    return ClaimOutcome(
        claimed=Claimed.CONFLICT if conflict else Claimed.OUTRANKED,
        account=number,
        reason=f"{customer.id} is {by}, not {said.external_id}'s",
    )


def _stands(said: Said, after: Sequence[Claim]) -> bool:
    key = (said.rank, said.object_id, said.external_id)
    return any(one.stands and (one.rank, one.object_id, one.external_id) == key for one in after)


def _displaced(before: Claim | None, after: Sequence[Claim]) -> str | None:
    """The event whose claim stands, held until now, and lost to an earlier one of its rank."""
    holds = claims.best(after)
    if before is None or holds is None or before.rank is not holds.rank:
        return None
    if before.external_id == holds.external_id:
        return None
    key = (before.rank, before.object_id, before.external_id)
    stands = any(one.stands and (one.rank, one.object_id, one.external_id) == key for one in after)
    return before.first_event_id if stands else None
