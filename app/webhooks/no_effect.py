"""Deliveries that change nothing but what is stored of them, taken in many at once or one alone.

Most of what Stripe sends is such: an event that is ruled at sight, or a newer snapshot of a known
subscription that leaves its state, tier and grace. Every other event is left to ``receive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from app.accounts.open import CUSTOMER_LOCK, Rank
from app.accounts.subscribe import Taken
from app.allowance.entitlement import CataloguePricing
from app.book import Book
from app.errors import BusyError
from app.infrastructure import sql
from app.subscriptions import store
from app.subscriptions.facts import Fact, FactKind
from app.subscriptions.store import Asked, Outcome, Reading, Settled
from app.webhooks import inbox
from app.webhooks.apply import ruling_of
from app.webhooks.delivery import Delivery, ruled_at_sight
from app.webhooks.inbox import EVENT_LOCK, Ruled, Ruling

if TYPE_CHECKING:
    from app.webhooks import row_types


_SQL: Final[row_types.NoEffectSql] = sql.beside(__file__)


def may_batch(book: Book, delivery: Delivery) -> bool:
    """Return whether the delivery may have no effect, by what it says; pure."""
    fact = delivery.says
    if ruled_at_sight(book, delivery) is not None:
        return True
    if not isinstance(fact, Fact) or fact.kind is not FactKind.UPDATED:
        return False
    return not (fact.account_hint or fact.hint_refused or fact.unread)


def customer_of(delivery: Delivery) -> str | None:
    """Return the customer that the delivery locks; None if it names none."""
    return delivery.says.customer_id if isinstance(delivery.says, Fact) else None


async def take(book: Book, group: Sequence[Delivery]) -> list[Ruling | None]:
    """Take in those of the group that have no effect; None for each that is left.

    All of them ``may_batch``; no two are of one event or of one customer. Nobody is waited for.
    Raises whatever a database raises: then nothing of the group is written.
    """
    at_sight = [ruled_at_sight(book, one) for one in group]
    if None not in at_sight:
        return await _store_at_sight(book, group, at_sight)
    rulings: list[Ruling | None] = [None] * len(group)
    async with book.database.transaction():
        locked = await _lock(book, group)
        rows = await _read(book, [group[at] for at in locked])
        ruled: list[Ruled] = []
        readings: list[Reading] = []
        accounts: set[int] = set()
        for at, row in zip(locked, rows, strict=True):
            one, reading = await _rule(book, group[at], at_sight[at], row)
            # A join locks the rows of all subscriptions of an account: never two of one here.
            if one is None or row["account_id"] in accounts:
                continue
            if reading is not None:
                accounts.add(row["account_id"])
                readings.append(reading)
            ruled.append(one)
            rulings[at] = one.ruling
        if ruled and len(await inbox.insert_ruled(book.database, ruled)) < len(ruled):
            raise BusyError("An event of the group was stored by somebody else just now.")
        if readings:
            await store.keep_many(book.database, readings)
    return rulings


async def _store_at_sight(
    book: Book, group: Sequence[Delivery], rulings: Sequence[Ruling | None]
) -> list[Ruling | None]:
    """Store them by one statement; left are those that are known or at work on."""
    ruled = [
        _ruled(one, ruling)
        for one, ruling in zip(group, rulings, strict=True)
        if ruling is not None
    ]
    stored = await inbox.insert_ruled(book.database, ruled)
    return [one.ruling if one.envelope.id in stored else None for one in ruled]


async def _lock(book: Book, group: Sequence[Delivery]) -> list[int]:
    """The places in the group of those that nobody else is at work on."""
    rows = await book.database.fetch(
        _SQL["lock"](
            event_ids=[one.envelope.id for one in group],
            customer_ids=[customer_of(one) for one in group],
            event_seed=EVENT_LOCK,
            customer_seed=CUSTOMER_LOCK,
        )
    )
    return [at for at, row in enumerate(rows) if row["locked"]]


async def _read(book: Book, group: Sequence[Delivery]) -> list[row_types.NoEffectRead]:
    """Return the known rows of each, by a statement whose snapshot is taken under the locks."""
    if not group:
        return []
    facts = [one.says if isinstance(one.says, Fact) else None for one in group]
    return await book.database.fetch(
        _SQL["read"](
            event_ids=[one.envelope.id for one in group],
            customer_ids=[fact.customer_id if fact else None for fact in facts],
            subscription_ids=[fact.subscription_id if fact else None for fact in facts],
        )
    )


async def _rule(
    book: Book, delivery: Delivery, at_sight: Ruling | None, row: row_types.NoEffectRead
) -> tuple[Ruled | None, Reading | None]:
    """Return the delivery's ruling and what it stores; None if it is known or has effects."""
    if row["known"]:
        return None, None
    if at_sight is not None:
        return _ruled(delivery, at_sight), None
    fact = delivery.says
    assert isinstance(fact, Fact)
    if row["id"] is None or not _stays_tied(row):
        return None, None
    asked = Asked(
        subscription_id=fact.subscription_id,
        customer_id=fact.customer_id,
        catalogue_id=row["present_catalogue_id"],
        fact=msgspec.structs.replace(fact, arrived_at=row["now"]),
    )
    catalogue = await book.catalogues.of(book.database, row["present_catalogue_id"])
    reading = store.read_no_effect(CataloguePricing(catalogue), asked, row, row["tied_to"])
    if reading is None:
        return None, None
    settled = Settled(reading.derived, Outcome.CHANGED)
    return _ruled(delivery, ruling_of(fact, Taken(settled, None))), reading


def _ruled(delivery: Delivery, ruling: Ruling) -> Ruled:
    fact = delivery.says if isinstance(delivery.says, Fact) else None
    return Ruled(
        envelope=delivery.envelope,
        payload=delivery.payload,
        ruling=ruling,
        subscription_id=fact.subscription_id if fact else None,
        customer_id=fact.customer_id if fact else None,
    )


def _stays_tied(row: row_types.NoEffectRead) -> bool:
    """Return whether no claim and no deletion has a say: the customer's tie stays as it is."""
    if row["claimed"] or row["deleted_at"] is not None:
        return False
    if row["account_id"] is None or row["account_id"] != row["tied_to"]:
        return False
    return row["tie_rank"] in (Rank.OWN_ID, Rank.PUT)
