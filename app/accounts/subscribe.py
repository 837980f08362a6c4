"""What a fact about a subscription does: to its state, to the account's tier and day."""

from __future__ import annotations

import msgspec

from app.accounts import ties
from app.accounts.book import Book
from app.accounts.claims import Said
from app.accounts.open import TieRank
from app.accounts.ties import ClaimOutcome, LockedCustomer
from app.grants import load
from app.grants.day import Origin
from app.grants.entitlement import CataloguePricing
from app.subscriptions import store
from app.subscriptions.derive import Derived
from app.subscriptions.facts import SNAPSHOT_KINDS, Fact
from app.subscriptions.store import Settled


class Taken(msgspec.Struct, frozen=True):
    """What a fact did: to its subscription, and to its customer's tie where it names an account."""

    settled: Settled
    claim: ClaimOutcome | None


async def take_fact(book: Book, fact: Fact) -> Taken:
    """Store the fact and let everything follow from it, in the caller's transaction.

    Locks the account's id that it names, the customer, then the accounts, then the subscription.
    """
    origin = Origin("webhook", "stripe", event_id=fact.event_id)
    customer = await ties.lock(book, fact.customer_id, fact.account_hint)
    await store.add_fact(book.database, fact)
    _, catalogue = await book.catalogues.present(book.database)
    reading = await store.read(book.database, CataloguePricing(catalogue), fact.subscription_id)
    claim = await _tie(book, customer, fact, reading.derived, origin)
    number = claim.account if claim else await ties.settle(book, customer, origin)
    return Taken(await _settle(book, reading, number, origin, fact), claim)


async def _tie(
    book: Book, customer: LockedCustomer, fact: Fact, derived: Derived, origin: Origin
) -> ClaimOutcome | None:
    """The subscription's metadata as its latest snapshot has it; None where none ever named any."""
    named_before = any(claim.object_id == fact.subscription_id for claim in customer.claims)
    if fact.kind not in SNAPSHOT_KINDS or not (fact.account_hint or named_before):
        return None
    said = Said(
        rank=TieRank.SUBSCRIPTION_METADATA, object_id=fact.subscription_id,
        external_id=fact.account_hint or "", event_id=fact.event_id, occurred_at=fact.occurred_at,
        latest=(derived.snapshot.account_hint or "") if derived.snapshot else "",
    )  # fmt: skip
    return await ties.take(book, customer, said, origin)


async def rederive(book: Book, subscription_id: str, customer_id: str, origin: Origin) -> Settled:
    """Derive a subscription again, as when the catalogue came to know its price."""
    number = await ties.account_of_customer(book, customer_id, origin)
    _, catalogue = await book.catalogues.present(book.database)
    reading = await store.read(book.database, CataloguePricing(catalogue), subscription_id)
    return await _settle(book, reading, number, origin, None)


async def _settle(
    book: Book, reading: store.Reading, number: int, origin: Origin, fact: Fact | None
) -> Settled:
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    # What was due before this event is posted by what was known then.
    day.post_due(origin)
    settled = await store.settle(book.database, reading, number, day.now, fact)
    day.givings = (await load.givings_of(book.database, [number]))[number]
    day.entitle(day.now, origin)
    await load.store(book.database, [day])
    return settled
