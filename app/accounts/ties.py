"""Links customers to accounts, and each subscription to the account that receives it.

Every claim is stored; the link is computed from all claims, so that the order of events does not
matter. These decide, the first that exists: the application's PUT, which no event undoes; the
customer's own metadata; the earliest name in the metadata of its subscriptions and Checkout
sessions. A customer without any has an account under its own id.

A name on a subscription, or on the session that began it, decides for that subscription alone: one
payer can pay for several accounts. A session's client_reference_id comes last and links nothing,
because a browser can write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from app.accounts import claims
from app.accounts.claims import Claim, Said
from app.accounts.join import join, may_join, move_subscriptions
from app.accounts.open import (
    TIES,
    Rank,
    account_of,
    insert,
    is_a_customers,
    known,
    lock_customer,
    lock_id,
    open_day,
    tie,
    try_lock_id,
)
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import BusyError
from app.infrastructure import sql
from app.infrastructure.ids import AccountNumber
from statemachine import State

if TYPE_CHECKING:
    from app.accounts import row_types


_SQL: Final[row_types.TiesSql] = sql.beside(__file__)


class Claimed(StrEnum):
    """The effect of an event's claim on a customer."""

    TIED = "tied"  # the customer belongs to this account from now on
    ALREADY = "already"  # it belonged to it before
    OUTRANKED = "outranked"  # a claim of a better rank, or a later snapshot, decides otherwise
    INVALID = "invalid"  # no account can have this id, or it is a customer's
    OWES = "owes"  # linked, but the customer's earlier account owes credits and stays separate


class ClaimOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of the claim, its reason, and the account that the customer has now, if any."""

    claimed: Claimed
    account: AccountNumber | None
    reason: str


class LockedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer under its lock: its account, what links it there, and all its claims.

    ``account`` is None if the customer has none; ``known`` says whether it has a row;
    ``deleted_at`` is the time of its earliest deletion.
    """

    id: str
    known: bool
    account: AccountNumber | None
    external_id: str | None
    rank: Rank
    claims: Sequence[Claim]
    locked_id: str | None
    deleted_at: datetime | None
    deleted_event_id: str | None
    catalogue_id: int  # the catalogue in force
    now: datetime


async def claim(book: Book, customer: LockedCustomer, said: Said, origin: Origin) -> ClaimOutcome:
    """Keep that an object of the locked customer's names an account, and let the ties follow.

    An empty ``external_id`` names nobody. Opens no account except the named one. Call it in the
    event's transaction, after the event's row is stored.
    """
    name = said.external_id
    if name and await is_a_customers(book, name, customer.id):
        reason = f"{name} is another customer's id"
        return ClaimOutcome(claimed=Claimed.INVALID, account=customer.account, reason=reason)
    return await take(book, customer, said, origin)


async def lock(book: Book, customer_id: str, external_id: str | None) -> LockedCustomer:
    """Lock the application's id that an event names, then the customer; return both as stored."""
    if external_id:
        await lock_id(book, external_id)
    await lock_customer(book, customer_id)
    # A second statement: its snapshot is taken after the lock.
    rows = await book.database.fetch(_SQL["customer"](customer_id=customer_id))
    row = rows[0]
    return LockedCustomer(
        id=customer_id,
        known=row["tie_rank"] is not None,
        account=row["account_id"],
        external_id=row["tied_id"],
        rank=Rank(row["tie_rank"] or Rank.OWN_ID),
        claims=[claims.of_row(one) for one in rows if one["customer_id"] is not None],
        locked_id=external_id,
        deleted_at=row["deleted_at"],
        deleted_event_id=row["deleted_event_id"],
        catalogue_id=row["catalogue_id"],
        now=row["now"],
    )


async def opened(book: Book, customer: LockedCustomer, origin: Origin) -> AccountNumber:
    """The locked customer's account, opened here if it is tied to none."""
    settled = await settle(book, customer, origin, opens=True)
    assert settled.account is not None
    return settled.account


async def take(book: Book, customer: LockedCustomer, said: Said, origin: Origin) -> ClaimOutcome:
    """Store the event's claims on a locked customer, and update the links."""
    before = customer
    customer = await keep(book, customer, said)
    settled = await settle(book, customer, origin)
    await place(book, settled, origin)
    return await outcome(book, before, settled, said)


async def keep(book: Book, customer: LockedCustomer, said: Said) -> LockedCustomer:
    """Store the event's claims on a locked customer; the caller updates the links."""
    after = claims.with_said(customer.claims, said)
    if not customer.known:
        await tie(book, customer.id, None, Rank.OWN_ID)  # a claim needs the row of its customer
    await claims.store(book.database, customer.id, customer.claims, after)
    return msgspec.structs.replace(customer, claims=after, known=True)


async def settle(
    book: Book, customer: LockedCustomer, origin: Origin, *, opens: bool = False
) -> LockedCustomer:
    """Link the locked customer as its claims say; with ``opens``, open an account if none names
    one.

    Returns the customer with its new link. The caller then places its subscriptions.
    """
    if customer.account is not None and customer.rank is Rank.PUT:
        return customer
    holds = claims.best(customer.claims)
    if holds is not None:
        return await _named(book, customer, holds.external_id, holds.rank, origin)
    if customer.account is not None and customer.rank is Rank.OWN_ID:
        return customer
    if not opens and (customer.account is None or not await _receives(book, customer)):
        if customer.account is not None:
            await tie(book, customer.id, None, Rank.OWN_ID)
        return msgspec.structs.replace(
            customer, account=None, external_id=None, rank=Rank.OWN_ID, known=customer.known
        )
    # The application may have PUT the customer's own id already.
    number = await known(book, customer.id)
    if number is None:
        number = await _open(book, None, origin)
    return await _tied(book, customer, number, Rank.OWN_ID)


async def _named(
    book: Book, customer: LockedCustomer, wanted: str, rank: Rank, origin: Origin
) -> LockedCustomer:
    """Link the customer to the account of this id, with what it had under its own id."""
    if customer.account is not None and customer.external_id == wanted:
        if customer.rank is rank:
            return customer
        return await _tied(book, customer, customer.account, rank)
    target = await _known(book, customer, wanted)
    if target is not None and target == customer.account:  # by an earlier id of the account
        return customer if customer.rank is rank else await _tied(book, customer, target, rank)
    own = customer.account if customer.rank is Rank.OWN_ID else None
    if own is not None and customer.external_id is None:
        if target is None:
            await book.database.execute(
                "UPDATE accounts SET external_id = $2 WHERE id = $1", own, wanted
            )
            target = own  # with its history
        elif not await may_join(book, own, target):
            await book.database.execute(
                "UPDATE customers SET left_account_id = $2 WHERE id = $1", customer.id, own
            )
        else:
            await join(book, own, target, origin)
    return await _tied(
        book, customer, target if target is not None else await _open(book, wanted, origin), rank
    )


async def _tied(
    book: Book, customer: LockedCustomer, number: AccountNumber, rank: Rank
) -> LockedCustomer:
    await tie(book, customer.id, number, rank)
    external_id = await book.database.fetchval(
        "SELECT external_id FROM accounts WHERE id = $1", number
    )
    return msgspec.structs.replace(
        customer, account=number, external_id=external_id, rank=rank, known=True
    )


async def _receives(book: Book, customer: LockedCustomer) -> bool:
    """Return whether any subscription of the customer has an account."""
    return await book.database.fetchval(  # type: ignore[no-any-return]
        """SELECT EXISTS (SELECT FROM subscriptions
                           WHERE customer_id = $1 AND account_id IS NOT NULL)""",
        customer.id,
    )


async def _open(book: Book, external_id: str | None, origin: Origin) -> AccountNumber:
    number = await insert(book, external_id, "UTC")
    if number is None:
        raise BusyError(f"The account {external_id!r} is being opened at this moment.")
    await store_days(book.database, [await open_day(book, number, origin)])
    return number


async def place(
    book: Book, customer: LockedCustomer, origin: Origin, *, but: str | None = None
) -> None:
    """Move every subscription of the settled customer to the account that receives it."""
    rows = await book.database.fetch(_SQL["placed"](customer_id=customer.id, but=but or ""))
    for row in rows:
        target = await receiver(book, customer, row["id"], State(row["state"]), origin)
        if target != row["account_id"]:
            await move_subscriptions(book, [row["id"]], row["account_id"], target, origin)


async def receiver(
    book: Book, customer: LockedCustomer, subscription_id: str, state: State, origin: Origin
) -> AccountNumber:
    """The account that receives a subscription of the settled customer, opened here if need be.

    A customer without a link gets an account of its own, even if a name from a browser receives
    the subscription: its events may come in any order.
    """
    tied = customer.account if customer.rank in TIES else None
    account = tied if tied is not None else await opened(book, customer, origin)
    begun = state is not State.CREATED  # the name of a session counts once it is paid
    ranks = (Rank.NAMED, Rank.RECEIVER) if begun else (Rank.NAMED,)
    own = claims.receiver(customer.claims, subscription_id, *ranks)
    if own is not None:
        return await account_named(book, customer, own, origin)
    reference = claims.receiver(customer.claims, subscription_id, Rank.REFERENCE)
    if reference is not None and begun and tied is None:
        return await account_named(book, customer, reference, origin)
    return account


async def account_named(
    book: Book, customer: LockedCustomer | None, name: str, origin: Origin
) -> AccountNumber:
    """The account of this id, the application's or another customer's; opened here if need be."""
    if customer is not None and customer.account is not None and customer.external_id == name:
        return customer.account
    number = await _known(book, customer, name)
    if number is None:
        number = await account_of(book, name)
    return number if number is not None else await _open(book, name, origin)


async def _known(book: Book, customer: LockedCustomer | None, name: str) -> AccountNumber | None:
    """The account that the application named so; without one the name is locked, to give it."""
    number = await known(book, name)
    if number is not None or (customer is not None and name == customer.locked_id):
        return number
    # A customer is locked already, so waiting here could deadlock.
    if not await try_lock_id(book, name):
        raise BusyError(f"The account {name!r} is being named at this moment.")
    return await known(book, name)


async def outcome(
    book: Book, before: LockedCustomer, customer: LockedCustomer, said: Said
) -> ClaimOutcome:
    """Return the effect of a claim on the customer, now settled; ``before`` is its earlier link."""
    named = said.external_id or None
    if named is None:
        told = f"the account {customer.external_id}" if customer.external_id else "no account"
        return ClaimOutcome(
            claimed=Claimed.ALREADY,
            account=customer.account,
            reason=f"{customer.id} names none; it has {told}",
        )
    named_account = customer.account if customer.external_id == named else await known(book, named)
    if named_account is not None and named_account == customer.account:
        left = await book.database.fetchval(
            "SELECT left_account_id FROM customers WHERE id = $1", customer.id
        )
        same = before.account == customer.account and before.rank in TIES
        claimed = Claimed.OWES if left else Claimed.ALREADY if same else Claimed.TIED
        owing = "; its earlier account owes and stays apart until a PUT or a merge decides"
        return ClaimOutcome(
            claimed=claimed,
            account=customer.account,
            reason=f"{customer.id} is {named}'s{owing if left else ''}",
        )
    by = "the application tied" if customer.rank is Rank.PUT else "a better or earlier name ties"
    return ClaimOutcome(
        claimed=Claimed.OUTRANKED,
        account=customer.account,
        reason=f"{by} {customer.id} to {customer.external_id or 'its own id'}, not {named}",
    )
