"""PUT an account: the application's own id, its Stripe customer, its time zone."""

from __future__ import annotations

import msgspec

from app.accounts import ties
from app.accounts.day_use import shift_own
from app.accounts.join import join
from app.accounts.open import Rank, find, insert, lock_customer, lock_id, open_day, tie
from app.accounts.ties import LockedCustomer
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.allowance.zones import known_zone
from app.book import Book
from app.errors import CustomerTakenError, UnknownZoneError
from app.infrastructure.ids import AccountNumber

CLEAR = ""  # in place of a customer's id: remove the links that earlier PUTs made


async def put(
    book: Book, external_id: str, customer_id: str | None, time_zone: str | None, actor: str
) -> tuple[AccountNumber, bool]:
    """Open or change the account in one transaction: its internal id, and whether it is new.

    None keeps the present value; `CLEAR` removes the links that the application made. If the id is
    a known customer's and no account was given it, it means that customer's account. Raises
    CustomerTakenError, UnknownZoneError.
    """
    if time_zone is not None and not known_zone(time_zone):
        raise UnknownZoneError(
            f"{time_zone!r} is no IANA time zone; use a name such as Europe/Berlin.",
            time_zone=time_zone,
        )
    origin = Origin("api", actor)
    async with book.database.transaction():
        await lock_id(book, external_id)
        # The id may belong to a customer whose first event is being applied right now.
        for name in sorted({external_id, customer_id or external_id}):
            await lock_customer(book, name)
        customer = await ties.lock(book, customer_id, None) if customer_id else None
        number, new = await _account(book, external_id, customer, time_zone, origin)
        if customer is not None:
            await _tie(book, number, customer, external_id, origin)
        elif customer_id == CLEAR:
            await _clear(book, number, origin)
        if time_zone is not None:
            await _change_zone(book, number, time_zone, origin)
    return number, new


async def _account(
    book: Book,
    external_id: str,
    customer: LockedCustomer | None,
    zone: str | None,
    origin: Origin,
) -> tuple[AccountNumber, bool]:
    database = book.database
    stands = await find(book, external_id)
    if stands is not None:
        return stands, False
    if customer is not None and customer.account is not None and customer.rank is Rank.OWN_ID:
        named = await database.fetchval(
            """UPDATE accounts SET external_id = $2 WHERE id = $1 AND external_id IS NULL
               RETURNING id""",
            customer.account,
            external_id,
        )
        if named is not None:
            return named, True  # with its history
    number = await insert(book, external_id, zone or "UTC")
    if number is None:  # another PUT of this id was quicker
        return await _account(book, external_id, customer, zone, origin)
    await store_days(database, [await open_day(book, number, origin)])
    return number, True


async def _tie(
    book: Book, number: AccountNumber, customer: LockedCustomer, external_id: str, origin: Origin
) -> None:
    """Link the customer to the account; what it had under its own id and its subscriptions
    follow.
    """
    if customer.rank is Rank.PUT and customer.account not in (None, number):
        raise CustomerTakenError(
            f"Customer {customer.id!r} belongs to another account.", customer_id=customer.id
        )
    own = customer.account if customer.rank is Rank.OWN_ID else None
    left = await book.database.fetchval(
        "SELECT left_account_id FROM customers WHERE id = $1", customer.id
    )
    for source in (own, left):
        if source is not None and source != number and await _unnamed(book, source):
            await join(book, source, number, origin)
    await tie(book, customer.id, number, Rank.PUT)
    if left is not None:
        await book.database.execute(
            "UPDATE customers SET left_account_id = NULL WHERE id = $1", customer.id
        )
    tied = msgspec.structs.replace(
        customer, known=True, account=number, external_id=external_id, rank=Rank.PUT
    )
    await ties.place(book, tied, origin)


async def _unnamed(book: Book, number: AccountNumber) -> bool:
    """Return whether the account has only its customer's id, and is no other's by now."""
    return await book.database.fetchval(  # type: ignore[no-any-return]
        "SELECT external_id IS NULL AND joined_to IS NULL FROM accounts WHERE id = $1", number
    )


async def _clear(book: Book, number: AccountNumber, origin: Origin) -> None:
    """Take the application's ties of the account away: its customers are tied by events again."""
    rows = await book.database.fetch(
        "SELECT id FROM customers WHERE account_id = $1 AND rank = $2 ORDER BY id",
        number,
        Rank.PUT,
    )
    for row in rows:
        customer = await ties.lock(book, row["id"], None)
        if customer.account != number or customer.rank is not Rank.PUT:
            continue
        # Treated as a link by the account's own name, so that claims of events are judged again.
        customer = msgspec.structs.replace(customer, rank=Rank.NAMED)
        customer = await ties.settle(book, customer, origin)
        await ties.place(book, customer, origin)


async def _change_zone(book: Book, number: AccountNumber, zone: str, origin: Origin) -> None:
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    # The tzdata package dropped the name of this zone, so no day can be computed in it.
    if not known_zone(day.time_zone):
        await _end_day_by(book, day, zone)
    day.post_due(origin)
    if day.time_zone != zone:
        await _end_day_by(book, day, zone)
    await store_days(book.database, [day])


async def _end_day_by(book: Book, day: AccountDay, zone: str) -> None:
    before = day.day
    day.change_zone(zone)
    if before is not None and day.day is not None:
        await shift_own(book.database, day, before.ends_at, day.day.ends_at)
