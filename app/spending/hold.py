"""Hold, capture, release: reserve credits, then take them or give them back."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.book import Book
from app.errors import (
    AccountSuspendedError,
    HoldClosedError,
    HoldExpiredError,
    HoldTooLongError,
    HoldUnknownError,
    InsufficientCreditsError,
    RefusedError,
)
from app.infrastructure.ids import HoldNumber
from app.ledger import reserved
from app.ledger.holds import HOLD_LIFE_MAX, Hold, HoldState, capture_more
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft
from app.spending.keyed import Done, Order, journal, keyed

if TYPE_CHECKING:
    from app.ledger.row_types import ReservedFindHold, ReservedHoldsOf


class HoldView(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it stands now: one past its deadline is expired, posted or not."""

    number: HoldNumber
    account_id: str
    amount: int
    captured: int
    state: HoldState
    expires_at: datetime


class Over(StrEnum):
    """The treatment of a capture above the hold, or after its deadline."""

    REFUSE = "refuse"
    AVAILABLE = "available"  # spent of what is free, as far as that goes
    DEBT = "debt"  # and the rest is owed


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """The amount and the manner of a capture; ``final`` gives back the rest of the hold."""

    amount: int
    over: Over = Over.REFUSE
    final: bool = True
    debt_max: int = 0  # what the account may owe after it


async def place(book: Book, public_id: str, amount: int, expires_in_s: int, order: Order) -> Done:
    """Reserve credits; raises InsufficientCreditsError, AccountUnknownError."""
    hold_number = await reserved.next_hold_number(book.database)

    async def draft(day: AccountDay) -> JournalDraft:
        if day.suspended:
            raise AccountSuspendedError(f"Account {public_id!r} is suspended.")
        expires_at = day.now + timedelta(seconds=expires_in_s)
        hold = Hold(hold_number, day.sheet.account_id, amount, expires_at)
        header = journal(Act.HOLD, day, order)
        day.hold(header, hold)
        header.answer = _answer(hold, public_id)
        return day.sheet.begin(header)

    return await keyed(book, public_id, order, draft)


async def capture(
    book: Book, hold_number: HoldNumber | None, wanted: Capture, order: Order
) -> Done:
    """Spend this much of a hold; what is left of it comes back with the last capture.

    Beyond the hold, or after its deadline, ``over`` says what becomes of it: refused, spent of what
    is free, or owed. The answer tells what that did not cover.
    Raises HoldUnknownError, HoldClosedError, HoldExpiredError, RefusedError,
    InsufficientCreditsError where the debt would pass its maximum.
    """
    row = await _row(book, hold_number)
    if not wanted.amount and not wanted.final:
        raise RefusedError("A capture of 0 that is not final does nothing.")

    async def draft(day: AccountDay) -> JournalDraft:
        hold = _open(day, row["id"]) or await _without_credits(book, day, row["id"], wanted.over)
        over = _over(day, hold, wanted)
        held = min(wanted.amount, hold.left)
        taken = held + sum(over)
        header = day.sheet.begin(journal(_act(wanted, taken), day, order))
        header.label = header.label or row["label"]
        header.member = header.member or row["member"]
        origin = Origin("api", order.actor)
        if not taken:
            # Nothing to take, or nothing to take it of: a hold that expired stays so.
            if wanted.final and hold.state is not HoldState.EXPIRED:
                day.release(header, hold, HoldState.RELEASED, day.now, origin)
        else:
            if held:
                day.capture(header, hold, held, origin, final=wanted.final)
            if sum(over):
                capture_more(day.sheet, header, hold, *over)
                day.changed = True
                day.refresh_due()
            if wanted.final:
                hold.state = HoldState.CAPTURED
        header.answer = {
            **_answer(hold, row["public_id"]),
            "taken": taken,
            "uncovered": wanted.amount - taken,
            "balance": day.sheet.balance,
            "available": day.sheet.available,
        }
        return header

    return await keyed(book, row["account_id"], order, draft)


def _act(wanted: Capture, taken: int) -> Act:
    if not taken:
        return Act.RELEASE
    return Act.CAPTURE if wanted.final else Act.PART_CAPTURE


def _over(day: AccountDay, hold: Hold, wanted: Capture) -> tuple[int, int]:
    """Return (free, debt): the parts of a capture beyond the rest of its hold."""
    beyond = max(0, wanted.amount - hold.left)
    if not beyond:
        return 0, 0
    if wanted.over is Over.REFUSE:
        raise RefusedError(f"The hold holds {hold.left} credits, not {wanted.amount}.")
    free = min(beyond, day.sheet.available)
    if wanted.over is Over.AVAILABLE:
        return free, 0
    if day.suspended:
        raise AccountSuspendedError("The account is suspended: it takes on no debt.")
    debt = beyond - free
    if debt and day.sheet.debt + debt > wanted.debt_max:
        raise InsufficientCreditsError(
            f"The debt would be {day.sheet.debt + debt}; TALLYBOOK_DEBT_MAX is {wanted.debt_max}.",
            available=free + hold.left,
            required=wanted.amount,
            next_grant_at=day.next_grant_at,
        )
    return free, debt


async def extend(
    book: Book, hold_number: HoldNumber | None, expires_in_s: int, order: Order
) -> Done:
    """Let a hold last so much longer, from now on; raises HoldTooLongError."""
    row = await _row(book, hold_number)

    async def draft(day: AccountDay) -> JournalDraft:
        hold = _open(day, row["id"]) or await _without_credits(book, day, row["id"])
        expires_at = day.now + timedelta(seconds=expires_in_s)
        latest = row["created_at"] + HOLD_LIFE_MAX
        if expires_at > latest:
            raise HoldTooLongError(
                f"A hold lasts {HOLD_LIFE_MAX.days} days at most after it was taken.",
                latest=latest.isoformat(),
            )
        header = day.sheet.begin(journal(Act.EXTEND, day, order))
        hold.expires_at, hold.changed, day.changed = expires_at, True, True
        day.refresh_due()
        header.answer = _answer(hold, row["public_id"])
        return header

    return await keyed(book, row["account_id"], order, draft)


async def release(book: Book, hold_number: HoldNumber | None, order: Order) -> Done:
    """Give back all that is left of a hold."""
    row = await _row(book, hold_number)

    async def draft(day: AccountDay) -> JournalDraft:
        hold = _open(day, row["id"]) or await _without_credits(book, day, row["id"])
        header = day.sheet.begin(journal(Act.RELEASE, day, order))
        day.release(header, hold, HoldState.RELEASED, day.now, Origin("api", order.actor))
        header.answer = _answer(hold, row["public_id"])
        return header

    return await keyed(book, row["account_id"], order, draft)


async def find(book: Book, number: HoldNumber | None) -> HoldView:
    """The hold; HoldUnknownError without one."""
    return of_row(await _row(book, number))


async def _row(book: Book, number: HoldNumber | None) -> ReservedFindHold:
    row = await reserved.find_hold(book.database, number) if number else None
    if row is None:
        raise HoldUnknownError("There is no such hold.")
    return row


def of_row(row: ReservedHoldsOf) -> HoldView:
    """The hold as its row tells."""
    return HoldView(
        number=row["id"],
        account_id=row["public_id"],
        amount=row["amount"],
        captured=row["captured"],
        state=HoldState(row["present_state"]),
        expires_at=row["expires_at"],
    )


def _open(day: AccountDay, number: HoldNumber) -> Hold | None:
    """The hold on the locked account's day, if it holds something still."""
    holding = (hold for hold in day.holds if hold.number == number)
    return next((hold for hold in holding if hold.state is HoldState.HELD), None)


async def _without_credits(
    book: Book, day: AccountDay, number: HoldNumber, over: Over = Over.REFUSE
) -> Hold:
    """A hold that holds nothing any more: used up by captures, or past its deadline.

    Read under the account's lock, so that two last captures are one. Raises HoldClosedError after
    one, and after a release; HoldExpiredError past the deadline unless ``over`` says what then.
    """
    row = await _row(book, number)
    if row["closed"]:
        raise HoldClosedError("The hold was captured or released already.")
    expired = row["expired"] or row["expires_at"] <= day.now
    if expired and over is Over.REFUSE:
        raise HoldExpiredError(f"The hold's deadline was {row['expires_at']:%Y-%m-%dT%H:%M:%SZ}.")
    hold = next((hold for hold in day.holds if hold.number == number), None)
    if hold is None:
        hold = Hold(
            number,
            day.sheet.account_id,
            row["amount"],
            row["expires_at"],
            HoldState(row["state"]),
            captured=row["captured"],
        )
        day.holds.append(hold)
    return hold


def _answer(hold: Hold, account_id: str) -> dict[str, object]:
    return {
        "hold_id": hold.number,
        "account_id": account_id,
        "amount": hold.amount,
        "captured": hold.captured,
        "state": str(hold.shown),
        "expires_at": hold.expires_at.isoformat(),
    }
