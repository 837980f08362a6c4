"""Open an account, under the application's id or under the id of a customer not yet introduced."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.book import Book
from app.errors import AccountUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Record
from app.infrastructure.ids import AccountNumber

if TYPE_CHECKING:
    from app.accounts import row_types


CUSTOMER_LOCK: Final = 0x0CC5  # the seed of the customers' advisory locks
ID_LOCK: Final = 0x0CC6  # the seed of the application's ids' locks, which are taken first

_SQL: Final[row_types.OpenSql] = sql.beside(__file__)


class Rank(IntEnum):
    """The source that names a customer's account; a lower number outranks a higher one.

    The first four link the customer. The last two only say who receives one subscription. They
    link nothing, because a browser can write some of them.
    """

    PUT = 1
    CUSTOMER_METADATA = 2
    NAMED = 3  # the metadata of a subscription or a Checkout session
    OWN_ID = 4
    RECEIVER = 5  # the metadata of the session that began the subscription
    REFERENCE = 6  # that session's client_reference_id


TIES: Final = frozenset({Rank.PUT, Rank.CUSTOMER_METADATA, Rank.NAMED})


async def find(book: Book, public_id: str) -> AccountNumber | None:
    """The internal id behind the application's or the customer's id."""
    number: AccountNumber | None = await book.database.fetchval(_SQL["find"](public_id=public_id))
    return number


async def known(book: Book, external_id: str) -> AccountNumber | None:
    """Find the account that the application knows by this id, or knew by it."""
    number: AccountNumber | None = await book.database.fetchval(
        _SQL["known"](external_id=external_id)
    )
    return number


async def lock_named(
    book: Book, public_ids: Iterable[str], *, waiting: bool
) -> tuple[list[Record], set[str]]:
    """Find and lock accounts by their public ids; ``public_ids`` of a row are those that it has.

    Returns the locked rows, and the ids of accounts that somebody else has locked. With
    ``waiting`` that list is empty: after the lock timeout asyncpg.LockNotAvailableError is raised.
    Unknown ids are left out.
    """
    statement = _SQL["wait_and_lock_named" if waiting else "lock_named"]
    rows = await book.database.fetch(statement(public_ids=list(set(public_ids))))
    taken = {public_id for row in rows if row["id"] is None for public_id in row["public_ids"]}
    return [row for row in rows if row["id"] is not None], taken


async def is_a_customers(book: Book, external_id: str, besides: str | None) -> bool:
    """Return whether the id belongs to another customer than ``besides`` and no account uses it.

    An account opened under this id would hide the customer's own. A buyer can write any id into
    the client_reference_id of a payment link.
    """
    return await book.database.fetchval(  # type: ignore[no-any-return]
        _SQL["is_a_customers"](external_id=external_id, besides=besides)
    )


def unknown(public_id: str) -> AccountUnknownError:
    """Return the error for an id that no account has."""
    return AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)


async def require(book: Book, public_id: str) -> AccountNumber:
    """The internal id behind a public id; raises AccountUnknownError without one."""
    number = await find(book, public_id)
    if number is None:
        raise unknown(public_id)
    return number


async def lock(book: Book, number: AccountNumber) -> AccountDay:
    """Lock the account; if it was joined meanwhile, the one that has everything now."""
    while True:
        day = (await load.lock(book.database, book.catalogues, [number]))[number]
        if day.joined_to is None:
            return day
        number = day.joined_to


async def insert(book: Book, external_id: str | None, time_zone: str) -> AccountNumber | None:
    """A new account's row, its day not yet opened; None where the id is taken."""
    _, catalogue = await book.catalogues.present(book.database)
    return await book.database.fetchval(  # type: ignore[no-any-return]
        _SQL["insert"](external_id=external_id, tier=catalogue.best([]), time_zone=time_zone)
    )


async def open_day(book: Book, number: AccountNumber, origin: Origin) -> AccountDay:
    """Lock a new account and open its first day; the caller stores it."""
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    day.open_first_day(origin)
    return day


async def lock_id(book: Book, external_id: str) -> None:
    """Lock this id until the transaction ends, so that nobody else can PUT it meanwhile."""
    await book.database.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", external_id, ID_LOCK
    )


async def try_lock_id(book: Book, external_id: str) -> bool:
    """Lock the id if it is free. To wait while holding a customer's lock could deadlock."""
    return await book.database.fetchval(  # type: ignore[no-any-return]
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, $2))", external_id, ID_LOCK
    )


async def lock_customer(book: Book, customer_id: str) -> None:
    """Lock the customer until the transaction ends: nobody else links it or moves its
    subscriptions.
    """
    await book.database.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", customer_id, CUSTOMER_LOCK
    )


async def account_of(book: Book, customer_id: str) -> AccountNumber | None:
    """The account of a locked customer, if it is tied to any."""
    return await book.database.fetchval(  # type: ignore[no-any-return]
        "SELECT account_id FROM customers WHERE id = $1", customer_id
    )


async def tie(book: Book, customer_id: str, number: AccountNumber | None, rank: Rank) -> None:
    """Point the customer to the account, or to none; the caller holds the customer's lock."""
    await book.database.execute(_SQL["tie"](customer_id=customer_id, account_id=number, rank=rank))
