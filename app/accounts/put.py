"""PUT an account: the application's own id, its Stripe customer, its time zone."""

from __future__ import annotations

from app.accounts.join import join, move_customer
from app.accounts.open import TieRank, account_of, insert, lock_customer, lock_id, open_day, tie
from app.allowance import load
from app.allowance.day import Origin
from app.allowance.store import store_days
from app.allowance.zones import known_zone
from app.book import Book
from app.errors import CustomerTakenError, UnknownZoneError


async def put(
    book: Book, external_id: str, customer_id: str | None, time_zone: str | None, actor: str
) -> bool:
    """Open or change the account in one transaction; whether the id is new.

    None keeps what stands. Raises CustomerTakenError, UnknownZoneError.
    """
    if time_zone is not None and not known_zone(time_zone):
        raise UnknownZoneError(
            f"{time_zone!r} is no IANA time zone; use a name such as Europe/Berlin.",
            time_zone=time_zone,
        )
    origin = Origin("api", actor)
    async with book.database.transaction():
        await lock_id(book, external_id)
        customers_account = None
        if customer_id is not None:
            await lock_customer(book, customer_id)
            customers_account = await account_of(book, customer_id)
        number, new = await _account(book, external_id, customers_account, time_zone, origin)
        if customer_id is not None:
            await _tie(book, number, customer_id, customers_account, origin)
        if time_zone is not None:
            await _change_zone(book, number, time_zone, origin)
    return new


async def _account(
    book: Book, external_id: str, customers_account: int | None, zone: str | None, origin: Origin
) -> tuple[int, bool]:
    database = book.database
    known = await database.fetchval("SELECT id FROM accounts WHERE external_id = $1", external_id)
    if known is not None:
        return known, False
    if customers_account is not None:
        named = await database.fetchval(
            """UPDATE accounts SET external_id = $2 WHERE id = $1 AND external_id IS NULL
               RETURNING id""",
            customers_account,
            external_id,
        )
        if named is not None:
            return named, True  # history and all
    number = await insert(book, external_id, zone or "UTC")
    if number is None:  # another PUT of this id was quicker
        return await _account(book, external_id, customers_account, zone, origin)
    await store_days(database, [await open_day(book, number, origin)])
    return number, True


async def _tie(
    book: Book, number: int, customer_id: str, customers_account: int | None, origin: Origin
) -> None:
    if customers_account is not None and customers_account != number:
        owner = await book.database.fetchrow(
            """SELECT external_id, rank FROM accounts JOIN customers ON account_id = accounts.id
                WHERE customers.id = $1""",
            customer_id,
        )
        assert owner is not None
        if owner["rank"] == TieRank.PUT:
            raise CustomerTakenError(
                f"Customer {customer_id!r} belongs to another account.", customer_id=customer_id
            )
        if owner["external_id"] is None:
            await join(book, customers_account, number, origin)
        else:  # an event tied it there
            await move_customer(book, customer_id, customers_account, number, origin)
    await tie(book, customer_id, number, TieRank.PUT)


async def _change_zone(book: Book, number: int, zone: str, origin: Origin) -> None:
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    if not known_zone(day.time_zone):
        day.change_zone(zone)  # tzdata dropped its name, which cannot tell any day to open
    day.post_due(origin)
    if day.time_zone != zone:
        day.change_zone(zone)
    await store_days(book.database, [day])
