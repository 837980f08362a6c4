"""An account as it stands, and as a spend would find it; computed, never written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.accounts.open import require
from app.allowance import load
from app.allowance.day import AccountDay, Origin
from app.book import Book
from app.infrastructure.db import Record
from app.ledger.sheet import Lot
from statemachine import State

# Which state speaks for an account whose tier no subscription gives: the most alive.
_MOST_ALIVE = (State.ACTIVE, State.PAST_DUE, State.CREATED, State.CANCELED)


class LotView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one grant, as posted."""

    number: int
    source: str
    free: int
    held: int
    priority: int
    expires_at: datetime


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """``balance`` to ``lots`` as posted; ``tier``, ``state``, ``available``, ``next_grant_at`` as
    a spend would find them."""

    public_id: str
    customer_id: str | None
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


async def view(book: Book, public_id: str) -> AccountView:
    """The account of the application's or the customer's id; AccountUnknownError without one."""
    database = book.database
    async with database.snapshot():
        number = await require(book, public_id)
        row = await database.fetchrow("SELECT * FROM accounts WHERE id = $1", number)
        assert row is not None
        days = await load.view(database, book.catalogues, [row])
        subscriptions = await database.fetch(
            "SELECT * FROM subscriptions WHERE account_id = $1 ORDER BY created_at, id", number
        )
        customer_id = await database.fetchval(
            """SELECT id FROM customers WHERE account_id = $1
                ORDER BY rank, tied_at DESC, id LIMIT 1""",
            number,
        )
    return _view(row, days[number], subscriptions, customer_id, public_id)


def _view(
    row: Record,
    day: AccountDay,
    subscriptions: Sequence[Record],
    customer_id: str | None,
    asked_id: str,
) -> AccountView:
    lots = [_lot(lot) for lot in sorted(day.sheet.lots, key=Lot.burn_order)]
    day.post_due(Origin("read", "read"))  # on a sheet that is thrown away
    return AccountView(
        public_id=row["external_id"] or customer_id or asked_id,
        customer_id=customer_id,
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
        subscriptions=list(subscriptions),
    )


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
