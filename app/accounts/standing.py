"""Close an account, suspend it, and undo either.

A closed account gets no more grants; its credits can still be spent. It opens again if an operator
says so, or if its owner subscribes or buys: a paying customer is never left without credits. A
suspended account keeps its credits and can spend none of them until it is resumed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from app.accounts.open import lock, require
from app.allowance.day import AccountDay
from app.allowance.opened_days import LastDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.allowance.zones import Day
from app.book import Book
from app.errors import AccountMergedError
from app.infrastructure import sql
from app.ledger import post
from app.operators.acts import Operator, OperatorAct, record

if TYPE_CHECKING:
    from app.accounts import row_types


log = structlog.get_logger(__name__)

_SQL: Final[row_types.StandingSql] = sql.beside(__file__)


async def close(book: Book, public_id: str, by: Operator) -> None:
    """End the account's grants; closing twice has no further effect.

    First posts everything that is due until now, so that a cron that was down costs nobody a day.
    """
    async with book.database.transaction():
        day = await _lock(book, public_id, by)
        if not day.closed:
            await book.database.execute(_SQL["close"](id=day.sheet.account_id))
            await _record(book, OperatorAct.CLOSE, day, by)


async def reopen(book: Book, public_id: str, by: Operator) -> None:
    """Open a closed account again, with today's day; an open account stays as it is.

    Raises AccountMergedError if it was merged into another.
    """
    async with book.database.transaction():
        day = await _lock(book, public_id, by)
        if day.closed:
            await open_again(book, day, Origin("api", by.actor))
            await store_days(book.database, [day])
            await _record(book, OperatorAct.REOPEN, day, by)


async def suspend(book: Book, public_id: str, by: Operator) -> None:
    """Refuse spends and holds, and open no day, until the account is resumed."""
    async with book.database.transaction():
        day = await _lock(book, public_id, by)
        if not day.suspended:
            day.suspended_at, day.changed = day.now, True
            day.refresh_due()
            await _write_suspended(book, day)
            await _record(book, OperatorAct.SUSPEND, day, by)


async def resume(book: Book, public_id: str, by: Operator) -> None:
    """End a suspension, and open today's day."""
    async with book.database.transaction():
        day = await _lock(book, public_id, by)
        if day.suspended:
            day.suspended_at, day.sheet.suspended, day.changed = None, False, True
            day.post_due(Origin("api", by.actor))
            await _write_suspended(book, day)
            await _record(book, OperatorAct.RESUME, day, by)


def owner_came_back(day: AccountDay, made_at: datetime) -> bool:
    """Return whether an act of the owner at Stripe, made at this instant, opens the account
    again.
    """
    return day.closed_at is not None and day.joined_to is None and made_at > day.closed_at


async def open_again(book: Book, day: AccountDay, origin: Origin) -> None:
    """Draft the days of a locked account that was closed; the caller stores it."""
    number = day.sheet.account_id
    if day.joined_to is not None:
        raise AccountMergedError(
            "The account was merged into another, which has all its credits now."
        )
    last = None
    if day.day is None:
        row = await book.database.fetchrow(_SQL["last_day"](id=number))
        if row is not None:
            await post.load_lots(book.database, day.sheet, [row["lot_id"], row["carried_lot_id"]])
            lot, carried = day.sheet.lot(row["lot_id"]), day.sheet.lot(row["carried_lot_id"])
            assert lot is not None
            ended = Day(row["day_on"], row["starts_at"], lot.expires_at)
            last = LastDay(ended, row["opening"], lot, carried)
    day.begin_again(origin, last)
    await book.database.execute(_SQL["open_again"](id=number))
    book.database.after_commit(lambda: log.info("account_open_again", account=number))


async def _lock(book: Book, public_id: str, by: Operator) -> AccountDay:
    """Lock the account, post what is due, store it, and return it."""
    day = await lock(book, await require(book, public_id))
    day.post_due(Origin("due", by.actor))
    await store_days(book.database, [day])
    return day


async def _write_suspended(book: Book, day: AccountDay) -> None:
    await store_days(book.database, [day])
    await book.database.execute(
        _SQL["suspend"](id=day.sheet.account_id, suspended_at=day.suspended_at)
    )


async def _record(book: Book, act: OperatorAct, day: AccountDay, by: Operator) -> None:
    await record(book.database, act, by, account_id=day.sheet.account_id)
