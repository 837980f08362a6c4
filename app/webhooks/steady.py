"""Events that leave a book as it was, written many at once: the steady rain of a billing system.

Steady is a newer snapshot of a known subscription that leaves its state, tier and grace; and an
event that nothing follows from. Whatever else an event may be, it is left to ``receive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from app.accounts.open import CUSTOMER_LOCK, Rank
from app.accounts.subscribe import Taken
from app.allowance.entitlement import CataloguePricing
from app.book import Book
from app.infrastructure.db import Record
from app.subscriptions import store_many
from app.subscriptions.facts import Fact, FactKind
from app.subscriptions.store import Asked, Outcome, Reading, Settled
from app.webhooks import inbox
from app.webhooks.apply import ruling_of
from app.webhooks.envelope import Envelope
from app.webhooks.inbox import EVENT_LOCK, Ruled, Ruling, Verdict
from app.webhooks.translate import Ignored, Translated


class Delivery(msgspec.Struct, frozen=True):
    """An event that may be steady, and what it says."""

    envelope: Envelope
    payload: bytes
    says: Fact | Ignored

    @property
    def customer_id(self) -> str | None:
        """Whose lock it takes; None where nothing follows from it."""
        return self.says.customer_id if isinstance(self.says, Fact) else None


# Nobody is waited for: a group that stood at one customer's lock would hold up all the others,
# and where nothing is waited for no order of locks can be wrong.
_LOCK: Final = """
SELECT CASE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(event_id, $3)) THEN false
            WHEN customer_id IS NULL THEN true
            ELSE pg_try_advisory_xact_lock(hashtextextended(customer_id, $4)) END
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (event_id, customer_id, number)
 ORDER BY number
"""
# LIMIT keeps each of these a look-up by its index, also by a plan made while the tables were small.
_READ: Final = """
SELECT subscriptions.*, known.id IS NOT NULL AS known, claimed.id IS NOT NULL AS claimed,
       customer.account_id AS tied_to, customer.rank AS tie_rank, customer.deleted_at,
       account.external_id AS tied_id, facts.bodies,
       (SELECT max(id) FROM catalogues) AS catalogue_id, tallybook_now() AS now
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
       AS asked (event_id, customer_id, subscription_id, number)
  LEFT JOIN LATERAL (
       SELECT events.id FROM events WHERE events.id = asked.event_id LIMIT 1) AS known ON true
  LEFT JOIN LATERAL (
       SELECT * FROM customers WHERE customers.id = asked.customer_id LIMIT 1) AS customer ON true
  LEFT JOIN LATERAL (
       SELECT accounts.external_id FROM accounts
        WHERE accounts.id = customer.account_id LIMIT 1) AS account ON true
  LEFT JOIN LATERAL (
       SELECT claims.customer_id AS id FROM claims
        WHERE claims.customer_id = asked.customer_id LIMIT 1) AS claimed ON true
  LEFT JOIN LATERAL (
       SELECT * FROM subscriptions WHERE subscriptions.id = asked.subscription_id
          AND subscriptions.customer_id = asked.customer_id LIMIT 1) AS subscriptions ON true
  LEFT JOIN LATERAL (
       SELECT array_agg(body::text) AS bodies FROM facts
        WHERE facts.subscription_id = subscriptions.id
          AND facts.occurred_at > coalesce(subscriptions.settled_to, '-infinity')) AS facts ON true
 ORDER BY number
"""


def candidate(
    book: Book, envelope: Envelope, payload: bytes, translated: Translated
) -> Delivery | None:
    """The delivery, if it may be steady by what it says; pure."""
    if envelope.livemode != book.livemode:
        return None
    if isinstance(translated, Ignored):
        return Delivery(envelope, payload, translated)
    if not isinstance(translated, Fact) or translated.kind is not FactKind.UPDATED:
        return None
    alone = translated.account_hint or translated.hint_refused or translated.unread
    return None if alone else Delivery(envelope, payload, translated)


async def take(book: Book, group: Sequence[Delivery]) -> list[Ruling | None]:
    """Write the steady ones of the group in one transaction; None for each that is left.

    No two of the group are of one event or of one customer. Raises whatever a database raises:
    then nothing of the group is written.
    """
    rulings: list[Ruling | None] = [None] * len(group)
    async with book.database.transaction():
        locked = await _lock(book, group)
        rows = await _read(book, [group[at] for at in locked])
        ruled: list[Ruled] = []
        readings: list[Reading] = []
        accounts: set[int] = set()
        for at, row in zip(locked, rows, strict=True):
            one, reading = await _rule(book, group[at], row)
            # Who joins accounts locks the rows of all subscriptions of one: never two of one here.
            if one is None or row["account_id"] in accounts:
                continue
            if reading is not None:
                accounts.add(row["account_id"])
                readings.append(reading)
            ruled.append(one)
            rulings[at] = one.ruling
        if ruled:
            await inbox.insert_many(book.database, ruled)
        if readings:
            await store_many.write(book.database, readings)
    return rulings


async def _lock(book: Book, group: Sequence[Delivery]) -> list[int]:
    """The places in the group of those that nobody else is at work on."""
    rows = await book.database.fetch(
        _LOCK,
        [one.envelope.id for one in group],
        [one.customer_id for one in group],
        EVENT_LOCK,
        CUSTOMER_LOCK,
    )
    return [at for at, row in enumerate(rows) if row[0]]


async def _read(book: Book, group: Sequence[Delivery]) -> list[Record]:
    """What stands of each, by a statement whose snapshot is taken under the locks."""
    if not group:
        return []
    facts = [one.says if isinstance(one.says, Fact) else None for one in group]
    return await book.database.fetch(
        _READ,
        [one.envelope.id for one in group],
        [fact.customer_id if fact else None for fact in facts],
        [fact.subscription_id if fact else None for fact in facts],
    )


async def _rule(book: Book, delivery: Delivery, row: Record) -> tuple[Ruled | None, Reading | None]:
    """How the event is ruled and what it moves; None where it is not steady."""
    fact = delivery.says
    if row["known"]:
        return None, None
    if isinstance(fact, Ignored):
        ruling = Ruling(Verdict.IGNORED, fact.reason)
        return Ruled(envelope=delivery.envelope, payload=delivery.payload, ruling=ruling), None
    if row["id"] is None or not _stays_tied(row):
        return None, None
    asked = Asked(
        subscription_id=fact.subscription_id,
        customer_id=fact.customer_id,
        catalogue_id=row["catalogue_id"],
        fact=msgspec.structs.replace(fact, arrived_at=row["now"]),
    )
    catalogue = await book.catalogues.of(book.database, row["catalogue_id"])
    reading = store_many.read_steady(CataloguePricing(catalogue), asked, row, row["tied_to"])
    if reading is None:
        return None, None
    settled = Settled(reading.derived, Outcome.CHANGED)
    ruled = Ruled(
        envelope=delivery.envelope,
        payload=delivery.payload,
        ruling=ruling_of(fact, Taken(settled, None)),
        subscription_id=fact.subscription_id,
        customer_id=fact.customer_id,
    )
    return ruled, reading


def _stays_tied(row: Record) -> bool:
    """Whether no claim and no deletion has a say, so that the customer's tie stays as it is."""
    if row["claimed"] or row["deleted_at"] is not None:
        return False
    if row["account_id"] is None or row["account_id"] != row["tied_to"]:
        return False
    return row["tie_rank"] in (Rank.OWN_ID, Rank.PUT)
