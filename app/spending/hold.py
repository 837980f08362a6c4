"""Hold, capture, release: reserve credits, then take them or give them back."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from app.accounts.open import require
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.book import Book
from app.errors import (
    AccountSuspendedError,
    HoldClosedError,
    HoldExpiredError,
    HoldTooLongError,
    HoldUnknownError,
    RefusedError,
)
from app.infrastructure.db import Record
from app.ledger import reserved
from app.ledger.holds import HOLD_LIFE_MAX, Hold, HoldState, capture_free
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
    created_at: datetime | None = None
    label: str | None = None  # what it was placed for: its captures are for it, too
    member: str | None = None


class Over(StrEnum):
    """What becomes of a capture above the hold, or after its deadline."""

    REFUSE = "refuse"
    AVAILABLE = "available"  # spent of what is free, as far as that goes


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


async def capture(
    book: Book, hold_number: int | None, amount: int, order: Order, over: Over = Over.REFUSE
) -> Done:
    """Spend this much of a hold; the rest of it comes back, all of it for an amount of 0.

    With ``Over.AVAILABLE`` what is above the hold is spent of what is free, and so is all of it
    after the hold's deadline; the answer tells what that did not cover.
    """
    view = await find(book, hold_number)

    def draft(day: AccountDay) -> JournalDraft:
        origin = Origin("api", order.actor)
        hold = _hold(day, view, expired_too=over is Over.AVAILABLE)
        act = Act.CAPTURE if amount else Act.RELEASE
        if hold.state is HoldState.EXPIRED and not amount:
            raise HoldExpiredError("The hold has expired: nothing of it is left to release.")
        held = hold.amount if hold.state is HoldState.HELD else 0
        if amount > held and over is Over.REFUSE:
            raise RefusedError(f"The hold holds {held} credits, not {amount}.")
        more = min(max(0, amount - held), day.sheet.available)
        if amount and not held and not more:
            raise HoldExpiredError("The hold has expired, and nothing is available instead.")
        header = day.sheet.begin(journal(act, day, order))
        header.label = header.label or view.label
        header.member = header.member or view.member
        if not amount:
            day.release(header, hold, HoldState.RELEASED, day.now, origin)
        elif held:
            day.capture(header, hold, min(amount, held), origin)
        if more:
            capture_free(day.sheet, header, hold, more)
            day.changed = True
            day.refresh_due()
        header.answer = {
            **_answer(hold, view.account_id),
            "uncovered": amount - hold.captured,
            "balance": day.sheet.balance,
            "available": day.sheet.available,
        }
        return header

    return await keyed(book, await _account(book, view), order, draft)


async def extend(book: Book, hold_number: int | None, expires_in_s: int, order: Order) -> Done:
    """Let a hold last so much longer, from now on; raises HoldTooLongError."""
    view = await find(book, hold_number)

    def draft(day: AccountDay) -> JournalDraft:
        hold = _hold(day, view)
        expires_at = day.now + timedelta(seconds=expires_in_s)
        assert view.created_at is not None
        if expires_at > view.created_at + HOLD_LIFE_MAX:
            raise HoldTooLongError(
                f"A hold lasts {HOLD_LIFE_MAX.days} days at most after it was taken.",
                latest=(view.created_at + HOLD_LIFE_MAX).isoformat(),
            )
        header = day.sheet.begin(journal(Act.EXTEND, day, order))
        hold.expires_at, hold.changed, day.changed = expires_at, True, True
        day.refresh_due()
        header.answer = _answer(hold, view.account_id)
        return header

    return await keyed(book, await _account(book, view), order, draft)


async def release(book: Book, hold_number: int | None, order: Order) -> Done:
    """Give back all of a hold."""
    view = await find(book, hold_number)

    def draft(day: AccountDay) -> JournalDraft:
        hold = _hold(day, view)
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
    return msgspec.structs.replace(of_row(row), label=row["label"], member=row["member"])


def of_row(row: Record) -> HoldView:
    """The hold as its row tells."""
    return HoldView(
        number=row["id"],
        account_id=row["public_id"],
        amount=row["amount"],
        captured=row["captured"],
        state=HoldState(row["present_state"]),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
    )


async def _account(book: Book, view: HoldView) -> int:
    number: int = await book.database.fetchval(
        "SELECT account_id FROM holds WHERE id = $1", view.number
    )
    return number


def _hold(day: AccountDay, view: HoldView, *, expired_too: bool = False) -> Hold:
    """The hold on the locked account's day; one that has expired only where that is asked for."""
    hold = next((hold for hold in day.holds if hold.number == view.number), None)
    if hold is not None and hold.state is HoldState.HELD:
        return hold
    # Expired just now, by what was due, or before.
    if view.state is HoldState.EXPIRED or (hold is not None and hold.state is HoldState.EXPIRED):
        if expired_too:
            if hold is None:
                account = day.sheet.account_id
                hold = Hold(view.number, account, view.amount, view.expires_at, HoldState.EXPIRED)
                day.holds.append(hold)
            return hold
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
