"""Open the lot of a paid Checkout session."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from app.accounts import standing
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.infrastructure.clock import NEVER
from app.ledger import reserved
from app.ledger.kinds import Act, House, Kind, LotSource
from app.ledger.sheet import JournalDraft
from app.purchases import store
from app.purchases.buyer import Receiver
from app.purchases.facts import SessionFact
from app.purchases.packs import Chosen
from app.purchases.store import NewPurchase

if TYPE_CHECKING:
    from app.tables.row_types import PurchasesRow


async def open_lot(
    book: Book, fact: SessionFact, chosen: Chosen, receiver: Receiver, origin: Origin
) -> PurchasesRow:
    """Grant the credits, store the money behind them, and return the purchase's row.

    The caller holds the locks of the payment and of the customer. A closed account gets what it
    paid for, and opens again if its owner bought it after the closing. The pack's term begins when
    the credits arrive: a late delivery costs nobody a day of it.
    """
    database = book.database
    account = receiver.account
    day = (await load.lock(database, book.catalogues, [account]))[account]
    day.post_due(origin)
    if receiver.owned and standing.owner_came_back(day, fact.made_at or fact.occurred_at):
        await standing.open_again(book, day, origin)
    journal = JournalDraft(
        Act.PURCHASE,
        origin.source,
        origin.actor,
        min(fact.occurred_at, day.now),
        event_id=origin.event_id,
    )
    term = chosen.pack.expires_days
    ends_at = day.now + timedelta(days=term) if term else NEVER
    lot = day.sheet.grant(
        journal,
        LotSource.PURCHASED,
        chosen.credits,
        ends_at,
        house=House.PURCHASED,
        kind=Kind.PURCHASE,
    )
    day.sheet.begin(journal)
    await _store(book, day)
    assert journal.number is not None
    new = NewPurchase(
        payment_key=fact.payment_intent or fact.session_id,
        session_id=fact.session_id,
        payment_intent=fact.payment_intent,
        backing_id=await reserved.insert_backing(database, lot, chosen.credits, gift=receiver.gift),
        journal_id=journal.number,
        event_id=fact.event_id,
        customer_id=fact.customer_id,
        pack=chosen.pack.name,
        credits=chosen.credits,
        paid=fact.amount,
        currency=fact.currency,
    )
    await store.insert(database, new)
    row = await store.purchase(
        database, payment_intent=fact.payment_intent, session_id=fact.session_id
    )
    assert row is not None, "it was inserted just now"
    return row


async def _store(book: Book, day: AccountDay) -> None:
    day.changed = True
    day.refresh_due()
    await store_days(book.database, [day])
