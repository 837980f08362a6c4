"""Hold, capture, release: reserve credits, then take them or give them back."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from app.accounts.open import require
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.book import Book
from app.errors import (
    AccountSuspendedError,
    HoldClosedError,
    HoldExpiredError,
    HoldUnknownError,
    RefusedError,
)
from app.ledger import reserved
from app.ledger.holds import Hold, HoldState
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft
from app.spending.keyed import Done, Order, journal, keyed


class HoldView(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it stands now: one past its deadline is expired, posted or not."""

    number: int
    account_id: str
    amount: int
    captured: int
    state: HoldState
    expires_at: datetime


async def place(book: Book, public_id: str, amount: int, expires_in_s: int, order: Order) -> Done:
    """Reserve credits; raises InsufficientCreditsError, AccountUnknownError."""
    number = await require(book, public_id)
    hold_number = await reserved.next_hold_number(book.database)

    def draft(day: AccountDay) -> JournalDraft:
        if day.suspended:
            raise AccountSuspendedError(f"Account {public_id!r} is suspended.")
        expires_at = day.now + timedelta(seconds=expires_in_s)
        hold = Hold(hold_number, day.sheet.account_id, amount, expires_at)
        header = journal(Act.HOLD, day, order)
        day.hold(header, hold)
        header.answer = _answer(hold, public_id)
        return day.sheet.begin(header)

    return await keyed(book, number, order, draft)


async def capture(book: Book, hold_number: int | None, amount: int, order: Order) -> Done:
    """Spend this much of a hold, at most what it holds; the rest comes back."""
    view = await find(book, hold_number)

    def draft(day: AccountDay) -> JournalDraft:
        hold = _open_hold(day, view)
        if amount > hold.amount:
            raise RefusedError(f"The hold holds {hold.amount} credits, not {amount}.")
        header = day.sheet.begin(journal(Act.CAPTURE, day, order))
        day.capture(header, hold, amount, Origin("api", order.actor))
        header.answer = _answer(hold, view.account_id)
        return header

    return await keyed(book, await _account(book, view), order, draft)


async def release(book: Book, hold_number: int | None, order: Order) -> Done:
    """Give back all of a hold."""
    view = await find(book, hold_number)

    def draft(day: AccountDay) -> JournalDraft:
        hold = _open_hold(day, view)
        header = day.sheet.begin(journal(Act.RELEASE, day, order))
        day.release(header, hold, HoldState.RELEASED, day.now, Origin("api", order.actor))
        header.answer = _answer(hold, view.account_id)
        return header

    return await keyed(book, await _account(book, view), order, draft)


async def find(book: Book, number: int | None) -> HoldView:
    """The hold; HoldUnknownError without one."""
    row = await reserved.find_hold(book.database, number) if number else None
    if row is None:
        raise HoldUnknownError("There is no such hold.")
    overdue = row["state"] == HoldState.HELD and row["overdue"]
    public_id = await book.database.fetchval(
        "SELECT public_id FROM account_names WHERE account_id = $1", row["account_id"]
    )
    return HoldView(
        number=row["id"],
        account_id=public_id,
        amount=row["amount"],
        captured=row["captured"],
        state=HoldState.EXPIRED if overdue else HoldState(row["state"]),
        expires_at=row["expires_at"],
    )


async def _account(book: Book, view: HoldView) -> int:
    number: int = await book.database.fetchval(
        "SELECT account_id FROM holds WHERE id = $1", view.number
    )
    return number


def _open_hold(day: AccountDay, view: HoldView) -> Hold:
    hold = next((hold for hold in day.holds if hold.number == view.number), None)
    if hold is not None and hold.state is HoldState.HELD:
        return hold
    # Expired just now, by what was due, or before.
    expired = view.state is HoldState.EXPIRED or hold is not None
    if expired:
        raise HoldExpiredError(f"The hold's deadline was {view.expires_at:%Y-%m-%dT%H:%M:%SZ}.")
    raise HoldClosedError("The hold was captured or released already.")


def _answer(hold: Hold, account_id: str) -> dict[str, object]:
    return {
        "hold_id": hold.number,
        "account_id": account_id,
        "amount": hold.amount,
        "captured": hold.captured,
        "state": str(hold.state),
        "expires_at": hold.expires_at.isoformat(),
    }
