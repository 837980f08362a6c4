"""Handle gifts that were spent before their money went back; a browser may have named the receiver.

The shortfall becomes a debt of the account that the payer's customer is linked to, which may be
the receiver's own. Without such an account the shortfall is written off, and an alert names payer
and receiver.
"""

from __future__ import annotations

import structlog

from app.accounts.open import TIES
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.infrastructure.clock import NEVER
from app.infrastructure.db import Record
from app.infrastructure.ids import AccountNumber
from app.ledger.backings import GIFT_OF_NOBODY, GIFT_OF_PAYER, REFUNDING, Backing, Manner
from app.ledger.clawbacks import Clawback
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft

log = structlog.get_logger(__name__)


async def payer_of(book: Book, row: Record, receiver: AccountDay) -> AccountDay | None:
    """The locked account that the payer's customer is tied to; None if to none."""
    number: AccountNumber | None = await book.database.fetchval(
        "SELECT account_id FROM customers WHERE id = $1 AND rank = ANY($2::smallint[])",
        row["customer_id"],
        sorted(TIES),
    )
    if number is None or number == receiver.sheet.account_id:
        return None if number is None else receiver
    return (await load.lock(book.database, book.catalogues, [number]))[number]


def manner_of(backing: Backing, receiver: AccountDay, payer: AccountDay | None) -> Manner:
    """Return how a shortfall of the purchase is written."""
    if not backing.gift or payer is receiver:
        return REFUNDING
    return GIFT_OF_NOBODY if payer is None else GIFT_OF_PAYER


async def follow(
    book: Book,
    row: Record,
    receiver: AccountDay,
    backing: Backing,
    payer: AccountDay | None,
    part: Clawback,
    returned: int,
    origin: Origin,
) -> None:
    """Charge the payer for the shortfall of a gift, lower that debt, or raise an alert.

    ``returned`` credits of what was written off came back with the money.
    """
    if payer is None:
        if part.shortfall:
            await _alert(book, row, receiver, part.shortfall)
        return
    if payer is receiver:
        return
    less = min(max(0, returned), backing.payer_debt)
    if not part.shortfall and not less:
        return
    payer.post_due(origin)
    journal = JournalDraft(
        Act.REFUND, origin.source, origin.actor, payer.now, event_id=origin.event_id
    )
    payer.sheet.begin(journal)
    if part.shortfall:
        _owe(payer, journal, part.shortfall)
    if less:
        _owe_less(payer, journal, less)
    backing.payer_debt += part.shortfall - less
    backing.clawback.changed = payer.changed = True
    payer.refresh_due()
    await store_days(book.database, [payer])


def _owe(payer: AccountDay, journal: JournalDraft, amount: int) -> None:
    sheet = payer.sheet
    lot = sheet.grant(journal, LotSource.PURCHASED, 0, NEVER)
    sheet.write(journal, lot, Kind.REFUND, Side.DEBT, House.REFUNDED, amount)
    for other in sheet.spendable():
        sheet.repay(journal, other)


def _owe_less(payer: AccountDay, journal: JournalDraft, amount: int) -> None:
    """Lower the payer's debt after money came back; give back what the payer had repaid of it."""
    sheet = payer.sheet
    lot = sheet.grant(
        journal,
        LotSource.PURCHASED,
        amount,
        NEVER,
        house=House.ADJUSTED,
        kind=Kind.ADJUSTMENT,
    )
    sheet.repay(journal, lot)


async def _alert(book: Book, row: Record, receiver: AccountDay, amount: int) -> None:
    await book.database.execute(
        """INSERT INTO alerts (kind, account_id, tier, customer_id, threshold, value,
                               effective_at, raised_at)
           VALUES ('gift_disputed', $1, $2, $3, 0, $4, tallybook_now(), tallybook_now())""",
        receiver.sheet.account_id,
        receiver.tier,
        row["customer_id"],
        amount,
    )
    names = {"payer": row["customer_id"], "receiver": receiver.sheet.account_id}
    book.database.after_commit(lambda: log.warning("gift_disputed", credits=amount, **names))
