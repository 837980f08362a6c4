"""What a fact about a subscription does: to its state, to the account's tier and day."""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.accounts import ties
from app.accounts.claims import Said
from app.accounts.open import TieRank
from app.accounts.ties import ClaimOutcome, LockedCustomer
from app.allowance import load
from app.allowance.day import Origin
from app.allowance.entitlement import CataloguePricing
from app.allowance.store import store_days
from app.book import Book
from app.subscriptions import store
from app.subscriptions.derive import Derived
from app.subscriptions.facts import SNAPSHOT_KINDS, Fact, FactKind
from app.subscriptions.store import Asked, OwnerConflict, Reading, Settled


class Taken(msgspec.Struct, frozen=True):
    """What a fact did: to its subscription, and to its customer's tie where it names an account."""

    settled: Settled
    claim: ClaimOutcome | None


async def take_fact(book: Book, fact: Fact) -> Taken | OwnerConflict:
    """Store the fact and let everything follow from it, in the caller's transaction.

    Locks the account's id that it names, the customer, then the accounts.
    """
    origin = Origin("webhook", "stripe", event_id=fact.event_id)
    customer = await ties.lock(book, fact.customer_id, fact.account_hint)
    reading = await _read(book, customer, fact.subscription_id, fact=fact)
    if isinstance(reading, OwnerConflict):
        return reading
    claim = await _tie(book, customer, fact, reading.derived, origin)
    number = claim.account if claim else await ties.settle(book, customer, origin)
    return Taken(await _settle(book, reading, number, origin), claim)


async def delete_customer(
    book: Book, customer_id: str, event_id: str, occurred_at: datetime
) -> int:
    """The customer's subscriptions are canceled, those to come too; the account stays.

    Returns how many subscriptions it has so far.
    """
    origin = Origin("webhook", "stripe", event_id=event_id)
    customer = await ties.lock(book, customer_id, None)
    number = await ties.settle(book, customer, origin)
    deletion = (occurred_at, event_id)
    if customer.deleted_at is not None and customer.deleted_event_id is not None:
        deletion = min(deletion, (customer.deleted_at, customer.deleted_event_id))
    await book.database.execute(
        "UPDATE customers SET deleted_at = $2, deleted_event_id = $3 WHERE id = $1",
        customer_id,
        *deletion,
    )
    customer = msgspec.structs.replace(
        customer, deleted_at=deletion[0], deleted_event_id=deletion[1]
    )
    rows = await book.database.fetch(
        "SELECT id FROM subscriptions WHERE customer_id = $1 ORDER BY id", customer_id
    )
    for row in rows:
        reading = await _read(book, customer, row["id"], since=deletion[0])
        assert not isinstance(reading, OwnerConflict)
        await _settle(book, reading, number, origin)
    return len(rows)


async def rederive(book: Book, subscription_id: str, customer_id: str, origin: Origin) -> Settled:
    """Derive a subscription again, as when the catalogue came to know its price."""
    customer = await ties.lock(book, customer_id, None)
    number = await ties.settle(book, customer, origin)
    reading = await _read(book, customer, subscription_id)
    assert not isinstance(reading, OwnerConflict), "a subscription never changes its customer"
    return await _settle(book, reading, number, origin)


async def _read(
    book: Book,
    customer: LockedCustomer,
    subscription_id: str,
    *,
    fact: Fact | None = None,
    since: datetime | None = None,
) -> Reading | OwnerConflict:
    catalogue = await book.catalogues.of(book.database, customer.catalogue_id)
    asked = Asked(
        subscription_id=subscription_id,
        customer_id=customer.id,
        catalogue_id=customer.catalogue_id,
        fact=fact,
        since=since,
        deleted=_deletion(customer, subscription_id),
    )
    return await store.read(book.database, CataloguePricing(catalogue), asked)


def _deletion(customer: LockedCustomer, subscription_id: str) -> Fact | None:
    if customer.deleted_at is None or customer.deleted_event_id is None:
        return None
    return Fact(
        event_id=customer.deleted_event_id,
        subscription_id=subscription_id,
        customer_id=customer.id,
        kind=FactKind.CUSTOMER_DELETED,
        occurred_at=customer.deleted_at,
    )


async def _tie(
    book: Book, customer: LockedCustomer, fact: Fact, derived: Derived, origin: Origin
) -> ClaimOutcome | None:
    """The subscription's metadata as its latest snapshot has it; None where none ever named any.

    Also of one after the customer's deletion, which may be known before it or after.
    """
    named_before = any(claim.object_id == fact.subscription_id for claim in customer.claims)
    if fact.kind not in SNAPSHOT_KINDS or not (fact.account_hint or named_before):
        return None
    said = Said(
        rank=TieRank.SUBSCRIPTION_METADATA,
        object_id=fact.subscription_id,
        external_id=fact.account_hint or "",
        event_id=fact.event_id,
        occurred_at=fact.occurred_at,
        latest=(derived.last_snapshot.account_hint or "") if derived.last_snapshot else "",
    )
    return await ties.take(book, customer, said, origin)


async def _settle(book: Book, reading: Reading, number: int, origin: Origin) -> Settled:
    if reading.asked.fact is not None and reading.gives_the_same(number):
        # Nothing moves on the account: most events leave it in peace, and its spends too.
        return await store.settle(book.database, reading, number)
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    # What was due before this event is posted by what was known then.
    day.post_due(origin)
    settled = await store.settle(book.database, reading, number)
    day.givings = (await load.givings_of(book.database, [number]))[number]
    day.entitle(day.now, origin)
    await store_days(book.database, [day])
    return settled
