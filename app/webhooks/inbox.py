"""The inbox: every signed event once, its raw bytes, and the verdict on each delivery of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from app.infrastructure.db import Database
from app.webhooks.envelope import Envelope


class Verdict(StrEnum):
    """What became of a delivery; the closed list."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE = "stale"
    IGNORED = "ignored"
    PARKED = "parked"
    REFUSED = "refused"
    QUEUED = "queued"


class Ruling(msgspec.Struct, frozen=True):
    """A verdict and its reason."""

    verdict: Verdict
    reason: str


class Ruled(msgspec.Struct, frozen=True, kw_only=True):
    """An event that came just now, ruled before it is stored."""

    envelope: Envelope
    payload: bytes
    ruling: Ruling
    subscription_id: str | None = None
    customer_id: str | None = None


RECEIVED_BEFORE = Ruling(Verdict.DUPLICATE, "received before")
# Between tries: 8 tries over about a day, then the event is parked.
RETRY_DELAYS = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1_800, 7_200, 21_600, 43_200))
# Longer than a question to Stripe takes with all its tries; a crash leaves the event until then.
TRY_LEASE = timedelta(minutes=2)
ERROR_CHARS_MAX = 2_000
EVENT_LOCK: Final = 0x0CC7  # seeds the advisory locks of event ids, the first that are taken


async def insert(database: Database, envelope: Envelope, payload: bytes) -> int | None:
    """Store the event; returns 1, or None if it was received before: the delivery is counted.

    A parked event that comes in other bytes is to be read again: those are kept too, and a number
    above 1 is returned. Fifty deliveries at once wait here for the first to commit. They wait at a
    lock that can be asked for without waiting: a group that holds its customers must not block.
    """
    new = await database.fetchval(
        """WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($1, $7)))
           INSERT INTO events (id, type, api_version, livemode, created_at, received_at, payload,
                               verdict, verdict_reason)
           SELECT $1, $2, $3, $4, $5, tallybook_now(), $6, 'ignored', '' FROM held
           ON CONFLICT (id) DO NOTHING RETURNING true""",
        envelope.id,
        envelope.type,
        envelope.api_version,
        envelope.livemode,
        envelope.created_at,
        payload,
        EVENT_LOCK,
    )
    if new is not None:
        return 1
    reading = await _again(database, envelope.id, payload)
    if reading is None:
        await database.execute(
            """WITH counted AS (
                   UPDATE events SET delivery_count = delivery_count + 1 WHERE id = $1)
               INSERT INTO deliveries (event_id, received_at, verdict, reason)
               VALUES ($1, tallybook_now(), 'duplicate', $2)""",
            envelope.id,
            RECEIVED_BEFORE.reason,
        )
    return reading


async def _again(database: Database, event_id: str, payload: bytes) -> int | None:
    """Keep other bytes of a parked event, and count the delivery; which reading they are."""
    reading: int | None = await database.fetchval(
        """WITH parked AS (
               UPDATE events SET delivery_count = delivery_count + 1
                WHERE id = $1 AND verdict = 'parked' AND payload <> $2
                  AND NOT EXISTS (SELECT FROM event_bodies AS known
                                   WHERE known.event_id = $1 AND known.payload = $2)
               RETURNING id
           ), kept AS (
               INSERT INTO event_bodies (event_id, received_at, payload)
               SELECT id, tallybook_now(), $2 FROM parked RETURNING 1)
           SELECT 1 + (SELECT count(*) FROM event_bodies WHERE event_id = $1) + count(*)
             FROM kept HAVING count(*) > 0""",
        event_id,
        payload,
    )
    return reading


async def bodies(database: Database, event_id: str) -> list[tuple[int, bytes]]:
    """Every body of an event with its reading, the newest first."""
    rows = await database.fetch(
        """SELECT payload FROM events WHERE id = $1
            UNION ALL (SELECT payload FROM event_bodies WHERE event_id = $1 ORDER BY id)""",
        event_id,
    )
    return [(reading, row["payload"]) for reading, row in enumerate(rows, start=1)][::-1]


async def insert_ignored(
    database: Database, envelope: Envelope, payload: bytes, ruling: Ruling
) -> bool:
    """Store an event that nothing follows from, with its verdict, by one statement.

    False where it was received before; that delivery is left to ``insert`` to count.
    """
    new = await database.fetchval(
        """WITH stored AS (
               INSERT INTO events (id, type, api_version, livemode, created_at, received_at,
                                   payload, verdict, verdict_reason, attempt_count)
               VALUES ($1, $2, $3, $4, $5, tallybook_now(), $6, $7, $8, 1)
               ON CONFLICT (id) DO NOTHING RETURNING id, received_at)
           INSERT INTO deliveries (event_id, received_at, verdict, reason)
           SELECT id, received_at, $7, $8 FROM stored RETURNING true""",
        envelope.id,
        envelope.type,
        envelope.api_version,
        envelope.livemode,
        envelope.created_at,
        payload,
        str(ruling.verdict),
        ruling.reason,
    )
    return new is not None


async def insert_many(database: Database, ruled: Sequence[Ruled]) -> None:
    """Store new events with their verdicts, and these deliveries, by one statement.

    Raises what asyncpg raises where one of them was received before.
    """
    events = [one.envelope for one in ruled]
    await database.execute(
        """WITH clock AS MATERIALIZED (SELECT tallybook_now() AS now), stored AS (
               INSERT INTO events (id, type, api_version, livemode, created_at, received_at,
                                   payload, verdict, verdict_reason, subscription_id, customer_id,
                                   attempt_count)
               SELECT new.id, type, api_version, livemode, created_at, now, payload, verdict,
                      reason, subscription_id, customer_id, 1
                 FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[],
                             $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[])
                      AS new (id, type, api_version, livemode, created_at, payload, verdict,
                              reason, subscription_id, customer_id), clock
               RETURNING id, received_at, verdict, verdict_reason)
           INSERT INTO deliveries (event_id, received_at, verdict, reason)
           SELECT id, received_at, verdict, verdict_reason FROM stored""",
        [event.id for event in events],
        [event.type for event in events],
        [event.api_version for event in events],
        [event.livemode for event in events],
        [event.created_at for event in events],
        [one.payload for one in ruled],
        [str(one.ruling.verdict) for one in ruled],
        [one.ruling.reason for one in ruled],
        [one.subscription_id for one in ruled],
        [one.customer_id for one in ruled],
    )


async def rule(
    database: Database,
    event_id: str,
    ruling: Ruling,
    *,
    subscription_id: str | None = None,
    customer_id: str | None = None,
) -> None:
    """Write the event's verdict, and that of this delivery or try."""
    await database.execute(
        """WITH ruled AS (
               UPDATE events SET verdict = $2, verdict_reason = $3, next_attempt_at = NULL,
                      error = NULL, attempt_count = attempt_count + 1,
                      subscription_id = coalesce($4, subscription_id),
                      customer_id = coalesce($5, customer_id)
                WHERE id = $1)
           INSERT INTO deliveries (event_id, received_at, verdict, reason)
           VALUES ($1, tallybook_now(), $2, $3)""",
        event_id,
        str(ruling.verdict),
        ruling.reason,
        subscription_id,
        customer_id,
    )


async def queue(database: Database, event_id: str, ruling: Ruling) -> None:
    """Keep the event for a try after this transaction; by then someone else may try it too."""
    await database.execute(
        """WITH queued AS (
               UPDATE events SET verdict = 'queued', verdict_reason = $2,
                      next_attempt_at = tallybook_now() + $3 WHERE id = $1)
           INSERT INTO deliveries (event_id, received_at, verdict, reason)
           VALUES ($1, tallybook_now(), 'queued', $2)""",
        event_id,
        ruling.reason,
        RETRY_DELAYS[0],
    )


async def claim_try(database: Database, event_id: str) -> None:
    """Let nobody else try the queued event while this process does."""
    await database.execute(
        "UPDATE events SET next_attempt_at = tallybook_now() + $2 WHERE id = $1",
        event_id,
        TRY_LEASE,
    )


async def fail(database: Database, event_id: str, error: Exception) -> Ruling:
    """Keep the failed event for another try, or park it after the last."""
    text = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX].replace("\0", "")
    tries: int = await database.fetchval(
        "SELECT attempt_count FROM events WHERE id = $1 FOR UPDATE", event_id
    )
    last = tries >= len(RETRY_DELAYS)
    ruling = (
        Ruling(Verdict.PARKED, f"failed {tries + 1} times")
        if last
        else Ruling(Verdict.QUEUED, "its effects failed; it is tried again")
    )
    await database.execute(
        """WITH failed AS (
               UPDATE events SET verdict = $2, verdict_reason = $3, error = $4,
                      attempt_count = attempt_count + 1, next_attempt_at = tallybook_now() + $5
                WHERE id = $1)
           INSERT INTO deliveries (event_id, received_at, verdict, reason)
           VALUES ($1, tallybook_now(), $2, $3)""",
        event_id,
        str(ruling.verdict),
        ruling.reason,
        text,
        None if last else RETRY_DELAYS[tries],
    )
    return ruling


async def due(database: Database, *, questions_too: bool = True) -> tuple[str, bytes] | None:
    """One queued event whose next try has come, locked; None where there is none.

    Those of a thin event's type are questions to Stripe.
    """
    row = await database.fetchrow(
        """SELECT id, payload FROM events
            WHERE verdict = 'queued' AND next_attempt_at <= tallybook_now()
              AND ($1 OR type NOT LIKE 'v1.%')
            ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED""",
        questions_too,
    )
    return None if row is None else (row["id"], row["payload"])


async def next_attempt_at(database: Database) -> datetime | None:
    """When the next queued event is to be tried."""
    instant: datetime | None = await database.fetchval(
        "SELECT min(next_attempt_at) FROM events WHERE verdict = 'queued'"
    )
    return instant
