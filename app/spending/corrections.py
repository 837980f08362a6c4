"""Corrections of an account's credits by operators: grants and adjustments."""

from __future__ import annotations

from datetime import datetime

from app.allowance.day import AccountDay
from app.book import Book
from app.errors import AccountClosedError, RefusedError
from app.infrastructure.clock import NEVER
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft
from app.operators.acts import OperatorAct
from app.spending.keyed import Done, Order, journal, keyed


class InThePastError(RefusedError):
    """The granted credits would have ended already."""

    code = "expires_in_the_past"


async def grant(
    book: Book,
    public_id: str,
    amount: int,
    order: Order,
    *,
    expires_at: datetime | None,
    priority: int | None,
) -> Done:
    """A promotional lot; without ``expires_at`` it never ends."""

    async def draft(day: AccountDay) -> JournalDraft:
        return draft_grant(day, public_id, amount, order, expires_at=expires_at, priority=priority)

    return await keyed(book, public_id, order, draft, OperatorAct.GRANT)


def draft_grant(
    day: AccountDay,
    public_id: str,
    amount: int,
    order: Order,
    *,
    expires_at: datetime | None,
    priority: int | None = None,
    source: LotSource = LotSource.PROMOTIONAL,
) -> JournalDraft:
    """Draft the grant on a locked account; raises AccountClosedError, InThePastError."""
    if day.closed:
        raise AccountClosedError("The account is closed: it gets no grants.")
    if expires_at is not None and expires_at <= day.now:
        raise InThePastError("expires_at is not in the future.")
    header = journal(Act.GRANT, day, order)
    bought = source is LotSource.PURCHASED
    day.sheet.grant(
        header,
        source,
        amount,
        expires_at or NEVER,
        priority=priority,
        house=House.PURCHASED if bought else House.ISSUED,
        kind=Kind.PURCHASE if bought else Kind.GRANT,
    )
    day.sheet.begin(header)
    return _answered(header, day, public_id, amount)


async def adjust(book: Book, public_id: str, amount: int, order: Order) -> Done:
    """Add credits that never end, or take some in burn order, all or nothing."""

    async def draft(day: AccountDay) -> JournalDraft:
        header = journal(Act.ADJUSTMENT, day, order)
        if amount > 0:
            day.sheet.grant(
                header,
                LotSource.PROMOTIONAL,
                amount,
                NEVER,
                kind=Kind.ADJUSTMENT,
                house=House.ADJUSTED,
            )
        else:
            for lot, part in day.sheet.draws(-amount, day.next_grant_at):
                day.sheet.write(header, lot, Kind.ADJUSTMENT, Side.FREE, House.ADJUSTED, part)
        day.sheet.begin(header)
        return _answered(header, day, public_id, amount)

    return await keyed(book, public_id, order, draft, OperatorAct.ADJUSTMENT)


def _answered(header: JournalDraft, day: AccountDay, public_id: str, amount: int) -> JournalDraft:
    day.changed = True
    day.refresh_due()
    header.answer = {
        "account_id": public_id,
        "amount": amount,
        "balance": day.sheet.balance,
        "available": day.sheet.available,
    }
    return header
