"""Apply a fact about a subscription: to its state, to links, to the account's tier and day."""

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
    """The effect of a fact on its subscription, and on its customer's link if it names an
    account.
    """

    settled: Settled
    claim: ClaimOutcome | None


async def take_fact(book: Book, fact: Fact) -> Taken | OwnerConflict:
    """Store the fact and apply all its effects, in the caller's transaction.

    Locks the account id that it names, then the customer, then the accounts.
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
    """Cancel the customer's present and future subscriptions; the account stays.

    Returns how many subscriptions the customer has so far.
    """
    origin = Origin("webhook", "stripe", event_id=event_id)
    customer = await ties.lock(book, customer_id, None)
    if not customer.known:
        # The deletion is kept for subscriptions that arrive later.
        await tie(book, customer_id, None, Rank.OWN_ID)
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
    """Derive a subscription again, for example after the catalogue has learned its price."""
    customer = await ties.lock(book, customer_id, None)
    reading = await _read(book, customer, subscription_id)
    assert not isinstance(reading, OwnerConflict), "a subscription never changes its customer"
    return (await _follow(book, customer, reading, origin)).settled


async def _follow(book: Book, customer: LockedCustomer, reading: Reading, origin: Origin) -> Taken:
    """Update links, the subscription's account and its tier from the derived state.

    A subscription that never had a known price gives nothing, links nothing and has no account.
    """
    derived = reading.derived
    stood = reading.stored["account_id"] if reading.stored is not None else None
    if not derived.ever_known:
        if not customer.known:
            await tie(book, customer.id, None, Rank.OWN_ID)
        if stood is not None:  # the catalogue no longer knows its price
            return Taken(await _settle(book, reading, None, stood, origin), None)
        return Taken(await store.settle(book.database, reading, None), None)
    before = customer
    said = await _said(book, customer, reading)
    for one in said:
        customer = await ties.keep(book, customer, one)
    customer = await ties.settle(book, customer, origin)
    subscription_id = reading.asked.subscription_id
    number = await ties.receiver(book, customer, subscription_id, derived.state, origin)
    customer = await ties.settle(book, customer, origin)  # `receiver` may have opened its account
    await ties.place(book, customer, origin, but=subscription_id)
    if stood is not None and stood != number:
        await move_subscriptions(book, [subscription_id], stood, number, origin)
    named = claims.receiver(customer.claims, subscription_id, Rank.NAMED)
    # Otherwise a browser may have given the name.
    owned = named is not None or number == customer.account
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
    """Return the claims of the subscription's latest snapshot; [] if it never named an account.

    Snapshots after the customer's deletion count too. Claims that were made while no price was
    known count as soon as one is, so that the order of events does not matter.
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
    """Store the subscription with ``stands`` as its account, and update the day of ``number``.

    If the account is closed and its owner (``owned``) subscribed after that, it opens again.
    """
    if reading.asked.fact is not None and stands == number and reading.gives_the_same(number):
        # Nothing changes on the account. Most events end here, and block no spend.
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
