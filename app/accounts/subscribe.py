"""What a fact about a subscription does: to its state, to the account's tier and day."""

from __future__ import annotations

from app.accounts.book import Book
from app.accounts.open import account_of_customer
from app.grants import load
from app.grants.day import Origin
from app.grants.entitlement import CataloguePricing
from app.subscriptions import store
from app.subscriptions.facts import Fact
from app.subscriptions.store import Settled


async def take_fact(book: Book, fact: Fact) -> Settled:
    """Store the fact and let everything follow from it, in the caller's transaction.

    Locks the customer, then the account, then the subscription.
    """
    origin = Origin("webhook", "stripe", event_id=fact.event_id)
    number = await account_of_customer(book, fact.customer_id, origin)
    await store.add_fact(book.database, fact)
    return await _settle(book, fact.subscription_id, number, origin, fact)


async def rederive(book: Book, subscription_id: str, customer_id: str, origin: Origin) -> Settled:
    """Derive a subscription again, as when the catalogue came to know its price."""
    number = await account_of_customer(book, customer_id, origin)
    return await _settle(book, subscription_id, number, origin, None)


async def _settle(
    book: Book, subscription_id: str, number: int, origin: Origin, fact: Fact | None
) -> Settled:
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    # What was due before this event is posted by what was known then.
    day.post_due(origin)
    settled = await store.settle(
        book.database, CataloguePricing(day.catalogue), subscription_id, number, day.now, fact
    )
    day.givings = (await load.givings_of(book.database, [number]))[number]
    day.entitle(day.now, origin)
    await load.store(book.database, [day])
    return settled
