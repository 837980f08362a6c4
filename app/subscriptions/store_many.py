"""Store facts of many subscriptions at once, where they leave state and tier as they were.

The set-based way of what ``store`` does for one; a test holds them to leave the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from app.errors import BusyError
from app.infrastructure.db import Database, Record
from app.subscriptions.derive import Pricing
from app.subscriptions.store import Asked, Reading, gather, row_of

# What must stay as it is: nothing follows from such a fact, on the account or in the transitions.
_STAYS: Final = (
    "account_id",
    "customer_id",
    "state",
    "tier",
    "grace_tier",
    "failing_since",
    "grace_ends_at",
)
_MOVES: Final = (
    "status",
    "price_id",
    "price_ids",
    "period_end_at",
    "billing_cycle",
    "cancel_at_period_end",
    "cancel_at",
    "last_event_id",
    "last_event_at",
    "settled_to",
    "settled",
    "settled_catalogue_id",
)
_WRITE: Final = f"""
WITH added AS (
    INSERT INTO facts (event_id, subscription_id, occurred_at, body)
    SELECT event_id, subscription_id, occurred_at, body::jsonb
      FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
           AS fact (event_id, subscription_id, occurred_at, body)
)
UPDATE subscriptions
   SET updated_at = (SELECT tallybook_now()), {", ".join(f"{name} = new.{name}" for name in _MOVES)}
  FROM jsonb_populate_recordset(NULL::subscriptions, $5::jsonb) AS new
 WHERE subscriptions.id = new.id AND subscriptions.customer_id = new.customer_id
"""


def read_no_effect(pricing: Pricing, asked: Asked, row: Record, account_id: int) -> Reading | None:
    """The subscription with its new fact; None where more follows than ``write`` knows.

    ``row`` is the subscription's, with the ``bodies`` of the facts since its checkpoint. Pure.
    """
    fact = asked.fact
    assert fact is not None
    # Without a checkpoint all facts were read, mostly those of its first second.
    holds = row["settled"] is None or row["settled_catalogue_id"] == asked.catalogue_id
    if not holds or row["last_event_at"] >= fact.occurred_at:
        return None
    gathered = gather(asked, row, from_checkpoint=row["settled"] is not None)
    left = row["settled"] is not None and gathered.settled_before is None  # of another form
    if left or gathered.wanted:
        return None
    reading = gathered.reading(pricing, {})
    derived, wanted = reading.derived, row_of(reading.derived, account_id)
    if derived.tied or derived.prices_unknown or derived.last.event_id != fact.event_id:
        return None
    return reading if all(row[name] == wanted[name] for name in _STAYS) else None


async def write(database: Database, readings: Sequence[Reading]) -> None:
    """Keep the facts and what they move; the caller holds the customers' locks."""
    facts = [reading.asked.fact for reading in readings if reading.asked.fact is not None]
    done = await database.execute(
        _WRITE,
        [fact.event_id for fact in facts],
        [fact.subscription_id for fact in facts],
        [fact.occurred_at for fact in facts],
        [msgspec.json.encode(fact).decode() for fact in facts],
        msgspec.json.encode([_row(reading) for reading in readings]).decode(),
    )
    if done != f"UPDATE {len(facts)}":
        raise BusyError("A subscription of the group is not what it was just now.")


def _row(reading: Reading) -> dict[str, object]:
    assert reading.stored is not None
    settled = reading.folded.settled
    return {
        "id": reading.asked.subscription_id,
        **row_of(reading.derived, reading.stored["account_id"]),
        "settled_to": settled.to if settled else None,
        "settled": settled,
        "settled_catalogue_id": reading.asked.catalogue_id if settled else None,
    }
