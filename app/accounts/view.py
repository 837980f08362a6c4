"""An account as a spend would find it; computed, never written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.accounts.open import unknown
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.book import Book
from app.infrastructure import sql
from app.infrastructure.db import Record
from app.infrastructure.group_commit import GroupQueue
from app.infrastructure.ids import AccountNumber, LotNumber
from app.ledger import post
from app.ledger.sheet import Lot
from statemachine import State

if TYPE_CHECKING:
    from app.accounts import row_types


READS_AT_ONCE: Final = 2  # statements under way; what comes meanwhile is read by the next
READ_TOGETHER_MAX: Final = 100
_SQL: Final[row_types.ViewSql] = sql.beside(__file__)
# If no subscription gives the tier, the first of these states is shown.
_MOST_ALIVE = (State.ACTIVE, State.PAST_DUE, State.CREATED, State.CANCELED)


class LotView(msgspec.Struct, frozen=True, kw_only=True):
    """A lot as posted: one grant, and what is left of it."""

    number: LotNumber
    source: str
    free: int
    held: int
    priority: int
    expires_at: datetime


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account's view: ``balance`` to ``lots`` are as posted.

    ``tier``, ``state``, ``available`` and ``next_grant_at`` are as a spend would find them.
    """

    public_id: str
    external_id: str | None
    customer_id: str | None
    closed_at: datetime | None
    suspended_at: datetime | None
    aliases: list[str]
    time_zone: str
    tier: str
    state: str | None
    balance: int
    free: int
    held: int
    debt: int
    available: int
    next_grant_at: datetime | None
    lots: list[LotView]
    subscriptions: list[Record]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The posted balance, with the tier and the available credits as a spend would find them."""

    tier: str
    balance: int
    available: int


class Views:
    """Looks at the accounts of a book; those that are asked for at once are read together.

    A statement for many costs PostgreSQL and the driver a third, for each account, of one for one.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._reads = GroupQueue(self._rows, drains_max=READS_AT_ONCE, group_max=READ_TOGETHER_MAX)

    async def of(self, public_id: str) -> AccountView:
        """Do as `view` does, with what was committed when this was called."""
        return await _read_found(self._book, public_id, await self._reads.put(public_id))

    async def close(self) -> None:
        """Wait for what is being read."""
        await self._reads.close()

    async def _rows(self, public_ids: list[str]) -> list[Record | None]:
        asked = list(dict.fromkeys(public_ids))
        rows = await self._book.database.fetch(_SQL["read_named"](public_ids=asked))
        found = {row["asked"]: row for row in rows}
        return [found.get(public_id) for public_id in public_ids]


async def view(book: Book, public_id: str) -> AccountView:
    """The account of the application's or the customer's id; AccountUnknownError without one."""
    row = await book.database.fetchrow(_SQL["read_named"](public_ids=[public_id]))
    return await _read_found(book, public_id, row)


async def _read_found(
    book: Book, public_id: str, row: row_types.ViewReadNamed | None
) -> AccountView:
    if row is None:
        raise unknown(public_id)
    return await _read(book, row)


async def view_of_account(book: Book, number: AccountNumber) -> AccountView:
    """The account of this internal id."""
    row = await book.database.fetchrow(_SQL["read"](id=number))
    assert row is not None
    return await _read(book, row)


async def _read(book: Book, row: row_types.ViewRead) -> AccountView:
    """Return the view of an account from its row: most need one query more, the others two."""
    if load.is_plain(row):
        now = max(row["now"], row["written_at"])
        one = post.with_lots(row, row["live_lots"], now)
        day = await load.plain_view(
            book.database, book.catalogues, one, row["received"], row["newest_catalogue_id"]
        )
        return _view(row, day)
    async with book.database.snapshot():
        again = await book.database.fetchrow(_SQL["read"](id=row["id"]))
        assert again is not None
        days = await load.view(book.database, book.catalogues, [again])
    return _view(again, days[again["id"]])


async def balances(book: Book, public_ids: Sequence[str]) -> dict[str, Standing]:
    """Return the credits of many accounts by the ids that were asked; unknown ids are left out."""
    async with book.database.snapshot():
        rows = await book.database.fetch(_SQL["named"](public_ids=list(set(public_ids))))
        accounts = {row["id"]: row for row in rows}
        days = await load.view(book.database, book.catalogues, list(accounts.values()))
    for day in days.values():
        day.post_due(Origin("read", "read"))  # on sheets that are thrown away
    return {
        row["asked"]: Standing(
            tier=days[row["id"]].tier,
            balance=row["free"] + row["held"] - row["debt"],
            available=days[row["id"]].sheet.available,
        )
        for row in rows
    }


def _view(row: row_types.ViewRead, day: AccountDay) -> AccountView:
    subscriptions = row["received"]
    lots = [_lot(lot) for lot in sorted(day.sheet.lots, key=Lot.burn_order)]
    day.post_due(Origin("read", "read"))  # on a sheet that is thrown away
    return AccountView(
        public_id=row["public_id"],
        external_id=row["external_id"],
        customer_id=_shown(subscriptions, row["tied"], day),
        closed_at=row["closed_at"],
        suspended_at=row["suspended_at"],
        aliases=row["aliases"],
        time_zone=day.time_zone,
        tier=day.tier,
        state=_state(subscriptions, day),
        balance=row["free"] + row["held"] - row["debt"],
        free=row["free"],
        held=row["held"],
        debt=row["debt"],
        available=day.sheet.available,
        next_grant_at=day.next_grant_at,
        lots=lots,
        subscriptions=subscriptions,
    )


def _shown(subscriptions: Sequence[Record], tied: Sequence[str], day: AccountDay) -> str | None:
    """Return the customer to show, to bill and to send to Stripe's pages.

    It is one of those linked to this account: the one whose subscription gives the tier, else the
    one with the best link. A payer that is not linked to the account is not shown.
    """
    pays = {row["customer_id"] for row in subscriptions if day.gives(load.giving(row)) == day.tier}
    return next((one for one in tied if one in pays), next(iter(tied), None))


def _lot(lot: Lot) -> LotView:
    assert lot.number is not None
    return LotView(
        number=lot.number,
        source=lot.source,
        free=lot.free,
        held=lot.held,
        priority=lot.priority,
        expires_at=lot.expires_at,
    )


def _state(subscriptions: Sequence[Record], day: AccountDay) -> str | None:
    giving = [row["state"] for row in subscriptions if day.gives(load.giving(row)) == day.tier]
    states = giving or [row["state"] for row in subscriptions]
    return next((str(state) for state in _MOST_ALIVE if state in states), None)
