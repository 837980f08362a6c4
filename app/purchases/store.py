"""Store what is known of payments: facts as they came, purchases, what went back.

The only writer of money_facts, purchases and money_back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import BackingNumber, JournalNumber
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

_SQL: Final = sql.beside(__file__)
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
    backing_id: BackingNumber
    journal_id: JournalNumber
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
        await database.execute(*_SQL["lock"](name=one, seed=PAYMENT_LOCK))


async def add(database: Database, event: MoneyEvent) -> None:
    """Keep what the event says; its row in the inbox stands already."""
    await database.execute(
        *_SQL["add"](
            event_id=event.event_id,
            occurred_at=event.occurred_at,
            kinds=[kind_of(fact) for fact in event.facts],
            object_ids=[object_of(fact) for fact in event.facts],
            payment_intents=[fact.payment_intent for fact in event.facts],
            charge_ids=[charge_of(fact) for fact in event.facts],
            bodies=[msgspec.json.encode(fact).decode() for fact in event.facts],
        )
    )


async def payment_of(database: Database, event: MoneyEvent) -> Payment:
    """The payment that an event's facts are of, found by the charge if they name no more."""
    intents = [fact.payment_intent for fact in event.facts if fact.payment_intent]
    charges = [charge for fact in event.facts if (charge := charge_of(fact))]
    intent = (
        intents[0] if intents else await database.fetchval(*_SQL["intent_of"](charge_ids=charges))
    )
    if intent is None:
        return Payment(None, tuple(sorted(set(charges))))
    return Payment(intent, tuple(sorted({*charges, *await charges_of(database, intent)})))


async def charges_of(database: Database, payment_intent: str) -> tuple[str, ...]:
    """The charges that facts tie to a payment."""
    rows = await database.fetch(*_SQL["charges_of"](payment_intent=payment_intent))
    return tuple(row["charge_id"] for row in rows)


async def facts_of(database: Database, payment: Payment) -> list[MoneyFact]:
    """Everything that was told of the payment, by whatever event, whenever."""
    rows = await database.fetch(
        *_SQL["facts_of"](
            payment_intent=payment.payment_intent, charge_ids=list(payment.charge_ids)
        )
    )
    return [msgspec.json.decode(row["body"], type=MoneyFact) for row in rows]


async def capture_of(database: Database, payment_intent: str) -> CaptureFact | None:
    """The capture of the payment, if it was told of."""
    fact = await _newest(database, payment_intent, "capture")
    return fact if isinstance(fact, CaptureFact) else None


async def session_of(database: Database, payment_intent: str) -> SessionFact | None:
    """The newest that was told of the session that was to be paid with it."""
    fact = await _newest(database, payment_intent, "session")
    return fact if isinstance(fact, SessionFact) else None


async def _newest(database: Database, payment_intent: str, kind: str) -> MoneyFact | None:
    body = await database.fetchval(
        *_SQL["newest_of_kind"](payment_intent=payment_intent, kind=kind)
    )
    return None if body is None else msgspec.json.decode(body, type=MoneyFact)


async def event_of(database: Database, event_id: str) -> MoneyEvent | None:
    """An event's facts as they were stored."""
    rows = await database.fetch(*_SQL["event_of"](event_id=event_id))
    facts = tuple(msgspec.json.decode(row["body"], type=MoneyFact) for row in rows)
    if not facts:
        return None
    return MoneyEvent(event_id=event_id, occurred_at=rows[0]["occurred_at"], facts=facts)


async def pins_of(database: Database, facts: Iterable[MoneyFact]) -> dict[str, Standing]:
    """The events among these facts' that an operator reversed, in order."""
    rows = await database.fetch(
        *_SQL["pins_of"](event_ids=sorted({fact.event_id for fact in facts}))
    )
    return {row["of_event_id"]: Standing(row["standing"]) for row in rows}


async def purchase(
    database: Database, *, payment_intent: str | None, session_id: str | None = None
) -> Record | None:
    """The pack that was bought with this payment, or in this session."""
    key = payment_intent or session_id
    return await database.fetchrow(*_SQL["purchase"](payment_key=key, session_id=session_id))


async def insert(database: Database, new: NewPurchase) -> None:
    """Keep a purchase, once for its payment and once for its session."""
    await database.execute(*_SQL["insert"](**msgspec.structs.asdict(new)))


async def keep(database: Database, payment_key: str, parts: Sequence[MoneyBack]) -> None:
    """Keep the present standing of each refund and dispute of the purchase."""
    await database.execute(
        *_SQL["keep"](
            payment_key=payment_key,
            kinds=[part.kind for part in parts],
            ids=[part.id for part in parts],
            amounts=[part.amount for part in parts],
            standings=[str(part.standing) for part in parts],
        )
    )
