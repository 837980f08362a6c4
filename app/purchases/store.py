"""Store what is known of payments: facts as they came, purchases, what went back.

The only writer of money_facts, purchases and money_back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from app.infrastructure.db import Database, Record
from app.purchases.derive import MoneyBack, Standing
from app.purchases.facts import (
    CaptureFact,
    MoneyEvent,
    MoneyFact,
    SessionFact,
    charge_of,
    kind_of,
    object_of,
)

PAYMENT_LOCK: Final = 0x0CC8  # seeds the payments' advisory locks, which come before customers'


class Payment(msgspec.Struct, frozen=True):
    """What names a payment: its intent, and the charges that facts tie to it."""

    payment_intent: str | None
    charge_ids: tuple[str, ...]


class NewPurchase(msgspec.Struct, frozen=True, kw_only=True):
    """A row of purchases to be."""

    payment_key: str
    session_id: str
    payment_intent: str | None
    backing_id: int
    journal_id: int
    event_id: str
    customer_id: str | None
    pack: str
    credits: int
    paid: int
    currency: str | None


async def lock(database: Database, ids: Iterable[str | None]) -> None:
    """Let nobody else take facts of these payments, charges or sessions until we commit.

    Without it a refund and the session that it came before could each miss the other.
    """
    for one in sorted({one for one in ids if one is not None}):
        await database.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", one, PAYMENT_LOCK
        )


async def add(database: Database, event: MoneyEvent) -> None:
    """Keep what the event says; its row stands already."""
    await database.execute(
        """INSERT INTO money_facts (event_id, kind, object_id, payment_intent, charge_id,
                                    occurred_at, body)
           SELECT $1, kind, object_id, payment_intent, charge_id, $2, body::jsonb
             FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
               AS fact (kind, object_id, payment_intent, charge_id, body)
           ON CONFLICT DO NOTHING""",
        event.event_id,
        event.occurred_at,
        [kind_of(fact) for fact in event.facts],
        [object_of(fact) for fact in event.facts],
        [fact.payment_intent for fact in event.facts],
        [charge_of(fact) for fact in event.facts],
        [msgspec.json.encode(fact).decode() for fact in event.facts],
    )


async def payment_of(database: Database, event: MoneyEvent) -> Payment:
    """The payment that an event's facts are of, found by the charge where they name no more."""
    intents = [fact.payment_intent for fact in event.facts if fact.payment_intent]
    charges = [charge for fact in event.facts if (charge := charge_of(fact))]
    intent = intents[0] if intents else await _intent_of(database, charges)
    if intent is None:
        return Payment(None, tuple(sorted(set(charges))))
    rows = await database.fetch(
        """SELECT DISTINCT charge_id FROM money_facts
            WHERE payment_intent = $1 AND charge_id IS NOT NULL""",
        intent,
    )
    return Payment(intent, tuple(sorted({*charges, *(row["charge_id"] for row in rows)})))


async def _intent_of(database: Database, charges: Sequence[str]) -> str | None:
    intent: str | None = await database.fetchval(
        """SELECT payment_intent FROM money_facts
            WHERE charge_id = ANY($1::text[]) AND payment_intent IS NOT NULL LIMIT 1""",
        list(charges),
    )
    return intent


async def facts_of(database: Database, payment: Payment) -> list[MoneyFact]:
    """All that was told of the payment, by whatever event, whenever."""
    rows = await database.fetch(
        """SELECT body::text FROM money_facts
            WHERE payment_intent = $1 OR charge_id = ANY($2::text[])""",
        payment.payment_intent,
        list(payment.charge_ids),
    )
    return [msgspec.json.decode(row["body"], type=MoneyFact) for row in rows]


async def capture_of(database: Database, payment_intent: str) -> CaptureFact | None:
    """The capture of the payment, if it was told of."""
    fact = await _of_kind(database, payment_intent, "capture")
    return fact if isinstance(fact, CaptureFact) else None


async def session_of(database: Database, payment_intent: str) -> SessionFact | None:
    """The newest that was told of the session that was to be paid with it."""
    fact = await _of_kind(database, payment_intent, "session")
    return fact if isinstance(fact, SessionFact) else None


async def _of_kind(database: Database, payment_intent: str, kind: str) -> MoneyFact | None:
    body = await database.fetchval(
        """SELECT body::text FROM money_facts WHERE payment_intent = $1 AND kind = $2
            ORDER BY occurred_at DESC, event_id DESC LIMIT 1""",
        payment_intent,
        kind,
    )
    return None if body is None else msgspec.json.decode(body, type=MoneyFact)


async def event_of(database: Database, event_id: str) -> MoneyEvent | None:
    """An event's facts as they were stored."""
    rows = await database.fetch(
        "SELECT occurred_at, body::text FROM money_facts WHERE event_id = $1", event_id
    )
    facts = tuple(msgspec.json.decode(row["body"], type=MoneyFact) for row in rows)
    if not facts:
        return None
    return MoneyEvent(event_id=event_id, occurred_at=rows[0]["occurred_at"], facts=facts)


async def pins_of(database: Database, facts: Iterable[MoneyFact]) -> dict[str, Standing]:
    """The events among these facts' that an operator reversed, in order."""
    rows = await database.fetch(
        """SELECT of_event_id, standing FROM reversals
            WHERE standing IS NOT NULL AND of_event_id = ANY($1::text[]) ORDER BY id""",
        sorted({fact.event_id for fact in facts}),
    )
    return {row["of_event_id"]: Standing(row["standing"]) for row in rows}


async def purchase(
    database: Database, *, payment_intent: str | None, session_id: str | None = None
) -> Record | None:
    """What was bought with this payment, or in this session."""
    return await database.fetchrow(
        "SELECT * FROM purchases WHERE payment_key = $1 OR session_id = $2",
        payment_intent or session_id,
        session_id,
    )


async def insert(database: Database, new: NewPurchase) -> None:
    """Once for its payment and once for its session, by their UNIQUE."""
    await database.execute(
        """INSERT INTO purchases (payment_key, session_id, payment_intent, backing_id, journal_id,
               event_id, customer_id, pack, credits, paid, currency, opened_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, tallybook_now())""",
        *msgspec.structs.astuple(new),
    )


async def keep(database: Database, payment_key: str, parts: Sequence[MoneyBack]) -> None:
    """How each refund and dispute of the purchase stands now."""
    await database.execute(
        """INSERT INTO money_back (kind, id, payment_key, amount, standing)
           SELECT kind, id, $1, amount, standing
             FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[])
               AS part (kind, id, amount, standing)
           ON CONFLICT (kind, id) DO UPDATE
              SET amount = excluded.amount, standing = excluded.standing
            WHERE money_back.payment_key = excluded.payment_key""",
        payment_key,
        [part.kind for part in parts],
        [part.id for part in parts],
        [part.amount for part in parts],
        [str(part.standing) for part in parts],
    )
