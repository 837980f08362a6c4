"""Store what is known of payments: facts as they arrived, purchases, money that went back.

Nothing else writes money_facts, purchases and money_back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from app.infrastructure import sql
from app.infrastructure.db import Database
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

if TYPE_CHECKING:
    from app.purchases import row_types
    from app.tables.row_types import PurchasesRow


_SQL: Final[row_types.StoreSql] = sql.beside(__file__)
# Seed of the payments' advisory locks, which are taken before customers'.
PAYMENT_LOCK: Final = 0x0CC8


class Payment(msgspec.Struct, frozen=True):
    """The identity of a payment: its intent, and the charges that facts link to it."""

    payment_intent: str | None
    charge_ids: tuple[str, ...]


class NewPurchase(msgspec.Struct, frozen=True, kw_only=True):
    """A new row of purchases."""

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
    """Lock these payments, charges or sessions: nobody else takes facts of them until we commit.

    Without the lock a refund and an earlier session that arrive at once could each miss the other.
    """
    for one in sorted({one for one in ids if one is not None}):
        await database.execute(_SQL["lock"](name=one, seed=PAYMENT_LOCK))


async def add(database: Database, event: MoneyEvent) -> None:
    """Store the event's facts; its row in the inbox exists already."""
    await database.execute(
        _SQL["add"](
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
    """Return the payment of an event's facts, found by the charge if they name no intent."""
    intents = [fact.payment_intent for fact in event.facts if fact.payment_intent]
    charges = [charge for fact in event.facts if (charge := charge_of(fact))]
    intent = (
        intents[0] if intents else await database.fetchval(_SQL["intent_of"](charge_ids=charges))
    )
    if intent is None:
        return Payment(None, tuple(sorted(set(charges))))
    return Payment(intent, tuple(sorted({*charges, *await charges_of(database, intent)})))


async def charges_of(database: Database, payment_intent: str) -> tuple[str, ...]:
    """Return the charges that facts link to a payment."""
    rows = await database.fetch(_SQL["charges_of"](payment_intent=payment_intent))
    return tuple(row["charge_id"] for row in rows)


async def facts_of(database: Database, payment: Payment) -> list[MoneyFact]:
    """Return all facts of the payment, from every event."""
    rows = await database.fetch(
        _SQL["facts_of"](payment_intent=payment.payment_intent, charge_ids=list(payment.charge_ids))
    )
    return [msgspec.json.decode(row["body"], type=MoneyFact) for row in rows]


async def capture_of(database: Database, payment_intent: str) -> CaptureFact | None:
    """Return the capture of the payment, or None."""
    fact = await _newest(database, payment_intent, "capture")
    return fact if isinstance(fact, CaptureFact) else None


async def session_of(database: Database, payment_intent: str) -> SessionFact | None:
    """Return the newest fact of the session that was to be paid with it, or None."""
    fact = await _newest(database, payment_intent, "session")
    return fact if isinstance(fact, SessionFact) else None


async def _newest(database: Database, payment_intent: str, kind: str) -> MoneyFact | None:
    body = await database.fetchval(_SQL["newest_of_kind"](payment_intent=payment_intent, kind=kind))
    return None if body is None else msgspec.json.decode(body, type=MoneyFact)


async def event_of(database: Database, event_id: str) -> MoneyEvent | None:
    """Return an event's facts as they were stored."""
    rows = await database.fetch(_SQL["event_of"](event_id=event_id))
    facts = tuple(msgspec.json.decode(row["body"], type=MoneyFact) for row in rows)
    if not facts:
        return None
    return MoneyEvent(event_id=event_id, occurred_at=rows[0]["occurred_at"], facts=facts)


async def pins_of(database: Database, facts: Iterable[MoneyFact]) -> dict[str, Standing]:
    """Return which events of these facts an operator reversed, in order."""
    rows = await database.fetch(
        _SQL["pins_of"](event_ids=sorted({fact.event_id for fact in facts}))
    )
    return {row["of_event_id"]: Standing(row["standing"]) for row in rows}


async def purchase(
    database: Database, *, payment_intent: str | None, session_id: str | None = None
) -> PurchasesRow | None:
    """Return the pack that was bought with this payment, or in this session."""
    key = payment_intent or session_id
    return await database.fetchrow(_SQL["purchase"](payment_key=key, session_id=session_id))


async def insert(database: Database, new: NewPurchase) -> None:
    """Store a purchase, once for its payment and once for its session."""
    await database.execute(_SQL["insert"](**msgspec.structs.asdict(new)))


async def keep(database: Database, payment_key: str, parts: Sequence[MoneyBack]) -> None:
    """Store the present standing of each refund and dispute of the purchase."""
    await database.execute(
        _SQL["keep"](
            payment_key=payment_key,
            kinds=[part.kind for part in parts],
            ids=[part.id for part in parts],
            amounts=[part.amount for part in parts],
            standings=[str(part.standing) for part in parts],
        )
    )
