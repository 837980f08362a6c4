"""Store what is known of a subscription: its facts, its state, the transitions between states.

The only module that writes a subscription's state.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
import orjson

from app.db import Database, Record
from app.subscriptions.derive import Derived, Pricing, derive
from app.subscriptions.facts import Fact
from app.subscriptions.order import Detail, undecided


class Outcome(StrEnum):
    """What a fact did to its subscription."""

    CHANGED = "changed"  # it is the newest, or it changed what was derived
    STALE = "stale"  # an older fact that changes nothing


class Settled(msgspec.Struct, frozen=True):
    """A subscription after its facts were folded again."""

    derived: Derived
    outcome: Outcome


async def add_fact(database: Database, fact: Fact) -> None:
    """Keep what the event says; the event's row stands already."""
    await database.execute(
        """INSERT INTO facts (event_id, subscription_id, occurred_at, body)
           VALUES ($1, $2, $3, $4::jsonb) ON CONFLICT (event_id) DO NOTHING""",
        fact.event_id, fact.subscription_id, fact.occurred_at,
        msgspec.json.encode(fact).decode(),
    )  # fmt: skip


class Reading(msgspec.Struct, frozen=True):
    """A subscription derived from all its stored facts, and as it stands so far."""

    subscription_id: str
    derived: Derived
    created_at: datetime
    stored: Record | None


async def read(database: Database, pricing: Pricing, subscription_id: str) -> Reading:
    """Derive the subscription from all stored facts; the caller holds its customer's lock."""
    facts = await _facts(database, subscription_id)
    derived = derive(facts, pricing, await _details(database, undecided(facts)))
    stored = await database.fetchrow(
        "SELECT * FROM subscriptions WHERE id = $1 FOR UPDATE", subscription_id
    )
    created_at = min(fact.occurred_at for fact in facts)
    return Reading(subscription_id, derived, created_at, stored)


async def settle(
    database: Database, reading: Reading, account_id: int, now: datetime, fact: Fact | None = None
) -> Settled:
    """Store what was derived; ``fact`` is the one that came now, None where the catalogue changed.

    The caller holds the locks of the customer and of the account.
    """
    derived, stored = reading.derived, reading.stored
    row = _row(derived, account_id)
    changed = stored is None or any(stored[name] != value for name, value in row.items())
    if changed:
        await _upsert(database, reading, row, now)
        await _store_transition(database, stored, derived, now)
    newest = fact is None or derived.last.event_id == fact.event_id
    return Settled(derived, Outcome.CHANGED if changed or newest else Outcome.STALE)


async def _facts(database: Database, subscription_id: str) -> list[Fact]:
    rows = await database.fetch(
        "SELECT body::text FROM facts WHERE subscription_id = $1", subscription_id
    )
    return [msgspec.json.decode(row["body"], type=Fact) for row in rows]


async def _details(database: Database, event_ids: set[str]) -> dict[str, Detail]:
    if not event_ids:
        return {}
    rows = await database.fetch(
        "SELECT id, payload FROM events WHERE id = ANY($1::text[])", sorted(event_ids)
    )
    return {row["id"]: _detail(row["payload"]) for row in rows}


def _detail(payload: bytes) -> Detail:
    data = orjson.loads(payload)["data"]
    return Detail(data["object"], data.get("previous_attributes") or {})


def _row(derived: Derived, account_id: int) -> dict[str, object]:
    snapshot = derived.snapshot
    return {
        "account_id": account_id,
        "customer_id": derived.last.customer_id,
        "state": str(derived.state),
        "status": snapshot.status if snapshot else None,
        "price_id": snapshot.prices[0] if snapshot and snapshot.prices else None,
        "price_ids": list(snapshot.prices) if snapshot else [],
        "period_end_at": snapshot.period_end if snapshot else None,
        "billing_cycle": snapshot.billing_cycle if snapshot else None,
        "cancel_at_period_end": snapshot.cancel_at_period_end if snapshot else False,
        "tier": derived.tier,
        "grace_tier": derived.grace_tier,
        "grace_ends_at": derived.grace_ends_at,
        "last_event_id": derived.last.event_id,
        "last_event_at": derived.last.occurred_at,
    }


async def _upsert(
    database: Database, reading: Reading, row: dict[str, object], now: datetime
) -> None:
    names = list(row)
    columns = ", ".join(names)
    values = ", ".join(f"${n}" for n in range(4, len(names) + 4))
    updates = ", ".join(f"{name} = excluded.{name}" for name in names)
    await database.execute(
        f"""INSERT INTO subscriptions (id, created_at, updated_at, {columns})
            VALUES ($1, $2, $3, {values})
            ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, {updates}""",
        reading.subscription_id, reading.created_at, now, *row.values(),
    )  # fmt: skip


async def _store_transition(
    database: Database, stored: Record | None, derived: Derived, now: datetime
) -> None:
    before = stored["state"] if stored else None
    if before == derived.state:
        return
    await database.execute(
        """INSERT INTO transitions (subscription_id, from_state, to_state, trigger, event_id,
                                    effective_at, recorded_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        derived.last.subscription_id, before, str(derived.state), str(derived.trigger),
        derived.decided_by.event_id, derived.decided_by.occurred_at, now,
    )  # fmt: skip
