"""Rename an account, or merge it into another; every id that it had keeps working."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from app.accounts.join import join
from app.accounts.open import known, lock, lock_customer, lock_id, require
from app.allowance import load
from app.allowance.origin import Origin
from app.book import Book
from app.errors import AccountClosedError, AccountTakenError, KeyReusedError, RefusedError
from app.infrastructure import sql
from app.infrastructure.ids import AccountNumber
from app.ledger import idempotency
from app.ledger.idempotency import RequestKey
from app.operators.acts import Operator, OperatorAct, record

if TYPE_CHECKING:
    from app.accounts import row_types


_SQL: Final[row_types.NamesSql] = sql.beside(__file__)


class NameOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's act on the names of accounts, with its idempotency key."""

    by: Operator
    key: RequestKey


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The account that has the names now; ``replayed`` if an earlier request did it."""

    number: AccountNumber
    replayed: bool


async def rename(book: Book, public_id: str, to: str, order: NameOrder) -> Named:
    """Give the account another id and return the account; every earlier id keeps working.

    A repeated key returns the first result. Raises AccountUnknownError, AccountTakenError,
    KeyReusedError.
    """
    async with book.database.transaction():
        if (done := await _done(book, order.key)) is not None:
            return done
        for name in sorted({public_id, to}):
            await lock_id(book, name)
        day = await lock(book, await require(book, public_id))
        number = day.sheet.account_id
        had = await book.database.fetchval("SELECT external_id FROM accounts WHERE id = $1", number)
        if had == to:
            return Named(number=number, replayed=False)
        if await known(book, to) not in (None, number) or await book.database.fetchval(
            _SQL["is_anothers_customer"](id=to, account_id=number)
        ):
            raise AccountTakenError(f"Another account has the id {to!r}.", account_id=to)
        await _name(book, number, to, had)
        await record(
            book.database, OperatorAct.RENAME, order.by, account_id=number, key=_stored(order.key)
        )
    return Named(number=number, replayed=False)


async def merge(book: Book, public_id: str, into: str, order: NameOrder) -> Named:
    """Move everything of the account into another account, and return the one that remains.

    This moves ids, customers, subscriptions, lots, holds, debt and the day's usage. There is one
    exception: if an event linked a customer to another account and left an account with debt
    behind, the customer's id still means the account that owes.

    A repeated key returns the first result. Raises AccountUnknownError, AccountClosedError,
    KeyReusedError; and RefusedError if both are the same account, or if the sum would pass the
    largest allowed balance.
    """
    database = book.database
    async with database.transaction():
        if (done := await _done(book, order.key)) is not None:
            return done
        for name in sorted({public_id, into}):
            await lock_id(book, name)
        source, target = await _lock_both(book, public_id, into)
        journal_id = await join(
            book, source, target, Origin("api", order.by.actor), reason=order.by.reason
        )
        had = await database.fetchval(_SQL["take_name"](id=source))
        await database.execute(_SQL["move_aliases"](source=source, target=target))
        if had is not None:
            await _add_alias(book, target, had)
        await database.execute(_SQL["left_no_more"](source=source, target=target))
        await record(
            database,
            OperatorAct.MERGE,
            order.by,
            account_id=target,
            journal_id=journal_id,
            key=_stored(order.key),
        )
    return Named(number=target, replayed=False)


async def _lock_both(book: Book, public_id: str, into: str) -> tuple[AccountNumber, AccountNumber]:
    """Lock the two accounts and the customers of the first; a join may come first."""
    while True:
        left: AccountNumber | None = await book.database.fetchval(_SQL["left_behind"](id=public_id))
        source = await require(book, public_id) if left is None else left
        target = await require(book, into)
        if source == target:
            raise RefusedError("Both ids belong to the same account.")
        await _lock_customers(book, source)
        days = await load.lock(book.database, book.catalogues, [source, target])
        if days[target].closed and days[target].joined_to is None:
            raise AccountClosedError("The account is closed: reopen it before you merge into it.")
        if all(day.joined_to is None for day in days.values()):
            return source, target


async def _lock_customers(book: Book, number: AccountNumber) -> None:
    """Let no event tie a customer of the account, or move a subscription of it, meanwhile."""
    locked: set[str] = set()
    while True:
        rows = await book.database.fetch(_SQL["customers"](account_id=number))
        more = [row["id"] for row in rows if row["id"] not in locked]
        if not more:
            return
        for customer_id in more:
            await lock_customer(book, customer_id)
        locked.update(more)


async def _name(book: Book, number: AccountNumber, to: str, had: str | None) -> None:
    await book.database.execute("UPDATE accounts SET external_id = $2 WHERE id = $1", number, to)
    if had is not None:
        await _add_alias(book, number, had)


async def _add_alias(book: Book, number: AccountNumber, external_id: str) -> None:
    await book.database.execute(_SQL["add_alias"](external_id=external_id, account_id=number))


async def _done(book: Book, key: RequestKey) -> Named | None:
    """Return the result stored under this key, whatever the account is called today."""
    stored = await idempotency.stored_for_operator(book.database, key)
    if stored is None:
        return None
    number = await book.database.fetchval(
        "SELECT present_id FROM account_names WHERE account_id = $1", stored.answer.get("account")
    )
    if number is None:
        raise KeyReusedError("This Idempotency-Key was used for another act.")
    return Named(number=number, replayed=True)


def _stored(key: RequestKey) -> tuple[str, bytes]:
    return key.key, key.request_hash
