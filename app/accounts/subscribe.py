"""Apply a fact about a subscription: to its state, to ties, to the account's tier and day."""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.accounts import claims, standing, ties
from app.accounts.claims import Said
from app.accounts.join import move_subscriptions
from app.accounts.open import Rank, tie
from app.accounts.ties import ClaimOutcome, LockedCustomer
from app.allowance import load
from app.allowance.entitlement import CataloguePricing
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.infrastructure.ids import AccountNumber
from app.subscriptions import store
from app.subscriptions.facts import SNAPSHOT_KINDS, Fact, FactKind
from app.subscriptions.store import Asked, OwnerConflict, Reading, Settled
from statemachine import State


class Taken(msgspec.Struct, frozen=True):
    """What a fact did: to its subscription, and to its customer's tie if it names an account."""

    settled: Settled
    claim: ClaimOutcome | None


async def take_fact(book: Book, fact: Fact) -> Taken | OwnerConflict:
    """Store the fact and let everything follow from it, in the caller's transaction.

    Locks the account's id that it names, the customer, then the accounts.
    """
    origin = Origin("webhook", "stripe", event_id=fact.event_id)
    customer = await ties.lock(book, fact.customer_id, fact.account_hint)
    fact = msgspec.structs.replace(fact, arrived_at=customer.now)
    reading = await _read(book, customer, fact.subscription_id, fact=fact)
    if isinstance(reading, OwnerConflict):
        return reading
    return await _follow(book, customer, reading, origin)


async def delete_customer(
    book: Book, customer_id: str, event_id: str, occurred_at: datetime
) -> int:
    """The customer's subscriptions are canceled, those to come too; the account stays.

    Returns how many subscriptions it has so far.
    """
    origin = Origin("webhook", "stripe", event_id=event_id)
    customer = await ties.lock(book, customer_id, None)
    if not customer.known:
        await tie(book, customer_id, None, Rank.OWN_ID)  # its deletion is kept for later arrivals
    deletion = (occurred_at, event_id)
    if customer.deleted_at is not None and customer.deleted_event_id is not None:
        deletion = min(deletion, (customer.deleted_at, customer.deleted_event_id))
    await book.database.execute(
        "UPDATE customers SET deleted_at = $2, deleted_event_id = $3 WHERE id = $1",
        customer_id,
        *deletion,
    )
    customer = msgspec.structs.replace(
        customer, known=True, deleted_at=deletion[0], deleted_event_id=deletion[1]
    )
    rows = await book.database.fetch(
        "SELECT id FROM subscriptions WHERE customer_id = $1 ORDER BY id", customer_id
    )
    for row in rows:
        reading = await _read(book, customer, row["id"], since=deletion[0])
        assert not isinstance(reading, OwnerConflict)
        await _follow(book, customer, reading, origin)
    return len(rows)


async def rederive(book: Book, subscription_id: str, customer_id: str, origin: Origin) -> Settled:
    """Derive a subscription again, as when the catalogue came to know its price."""
    customer = await ties.lock(book, customer_id, None)
    reading = await _read(book, customer, subscription_id)
    assert not isinstance(reading, OwnerConflict), "a subscription never changes its customer"
    return (await _follow(book, customer, reading, origin)).settled


async def _follow(book: Book, customer: LockedCustomer, reading: Reading, origin: Origin) -> Taken:
    """Let ties, the subscription's account and its tier follow from what was derived.

    One of which no price was ever known gives nothing, ties nothing and stands on no account.
    """
    derived = reading.derived
    stood = reading.stored["account_id"] if reading.stored is not None else None
    if not derived.ever_known:
        if not customer.known:
            await tie(book, customer.id, None, Rank.OWN_ID)
        if stood is not None:  # the catalogue has forgotten its price
            return Taken(await _settle(book, reading, None, stood, origin), None)
        return Taken(await store.settle(book.database, reading, None), None)
    before = customer
    said = await _said(book, customer, reading)
    for one in said:
        customer = await ties.keep(book, customer, one)
    customer = await ties.settle(book, customer, origin)
    subscription_id = reading.asked.subscription_id
    number = await ties.receiver(book, customer, subscription_id, derived.state, origin)
    customer = await ties.settle(book, customer, origin)  # receiver may have opened its account
    await ties.place(book, customer, origin, but=subscription_id)
    if stood is not None and stood != number:
        await move_subscriptions(book, [subscription_id], stood, number, origin)
    named = claims.receiver(customer.claims, subscription_id, Rank.NAMED)
    owned = named is not None or number == customer.account  # else a browser may have given it
    settled = await _settle(book, reading, number, number, origin, owned=owned)
    claim = await ties.outcome(book, before, customer, said[-1]) if said else None
    return Taken(settled, claim)


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


async def _said(book: Book, customer: LockedCustomer, reading: Reading) -> list[Said]:
    """What the subscription's metadata says, by its latest snapshot; [] if it never named anybody.

    Snapshots after the customer's deletion count too. What was said while no price was known counts
    from when one is: so the order of events does not matter.
    """
    fact, derived = reading.asked.fact, reading.derived
    subscription_id = reading.asked.subscription_id
    named_before = any(claim.object_id == subscription_id for claim in customer.claims)
    latest = (derived.last_snapshot.account_hint or "") if derived.last_snapshot else ""
    facts = [fact] if fact is not None else []
    if reading.stored is None:
        facts = list(reading.given)
    elif reading.stored["account_id"] is None:
        facts = await store.facts_of(book.database, subscription_id)
    return [
        Said(
            rank=Rank.NAMED,
            object_id=subscription_id,
            external_id=one.account_hint or "",
            event_id=one.event_id,
            occurred_at=one.occurred_at,
            latest=latest,
        )
        for one in facts
        if one.kind in SNAPSHOT_KINDS and (one.account_hint or named_before)
    ]


async def _settle(
    book: Book,
    reading: Reading,
    stands: AccountNumber | None,
    number: AccountNumber,
    origin: Origin,
    *,
    owned: bool = False,
) -> Settled:
    """Store the subscription as standing on ``stands``; the day of ``number`` follows.

    If it is ``owned`` and has begun since the account was closed, that opens again.
    """
    if reading.asked.fact is not None and stands == number and reading.gives_the_same(number):
        # Nothing moves on the account: most events leave it in peace, and its spends too.
        return await store.settle(book.database, reading, number)
    days = await load.lock(book.database, book.catalogues, [number])
    day = days[number]
    # What was due before this event is posted by what was known then.
    day.post_due(origin)
    settled = await store.settle(book.database, reading, stands)
    await load.reread(book.database, [day])
    begun = reading.derived.state in (State.ACTIVE, State.PAST_DUE)
    if owned and begun and standing.owner_came_back(day, reading.made_at):
        await standing.open_again(book, day, origin)
    day.entitle(day.now, origin)
    await store_days(book.database, [day])
    return settled
