"""The inbox: every signed event once, its raw bytes, and the verdict on each delivery of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.webhooks.envelope import Envelope

if TYPE_CHECKING:
    from app.webhooks import row_types


class Verdict(StrEnum):
    """The closed list of what may become of a delivery."""

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
    """A delivery that is ruled before it is stored."""

    envelope: Envelope
    payload: bytes
    ruling: Ruling
    subscription_id: str | None = None
    customer_id: str | None = None


_SQL: Final[row_types.InboxSql] = sql.beside(__file__)
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
        _SQL["insert"](
            event_id=envelope.id,
            type=envelope.type,
            api_version=envelope.api_version,
            livemode=envelope.livemode,
            created_at=envelope.created_at,
            payload=payload,
            seed=EVENT_LOCK,
        )
    )
    if new is not None:
        return 1
    reading: int | None = await database.fetchval(
        _SQL["keep_other_bytes"](event_id=envelope.id, payload=payload)
    )
    if reading is None:
        await database.execute(
            _SQL["count_copy"](event_id=envelope.id, reason=RECEIVED_BEFORE.reason)
        )
    return reading


async def bodies(database: Database, event_id: str) -> list[tuple[int, bytes]]:
    """Every body of an event with its reading, the newest first."""
    rows = await database.fetch(_SQL["bodies"](event_id=event_id))
    return [(reading, row["payload"]) for reading, row in enumerate(rows, start=1)][::-1]


async def insert_ruled(database: Database, ruled: Sequence[Ruled]) -> set[str]:
    """Store new events with their verdicts, and these deliveries, by one statement.

    Returns the ids of those that were stored. Left are known events and events that somebody else
    is at work on: ``insert`` waits for those.
    """
    events = [one.envelope for one in ruled]
    rows = await database.fetch(
        _SQL["insert_ruled"](
            ids=[event.id for event in events],
            types=[event.type for event in events],
            api_versions=[event.api_version for event in events],
            livemodes=[event.livemode for event in events],
            created_at=[event.created_at for event in events],
            payloads=[one.payload for one in ruled],
            verdicts=[str(one.ruling.verdict) for one in ruled],
            reasons=[one.ruling.reason for one in ruled],
            subscription_ids=[one.subscription_id for one in ruled],
            customer_ids=[one.customer_id for one in ruled],
            seed=EVENT_LOCK,
        )
    )
    return {row["event_id"] for row in rows}


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
        _SQL["rule"](
            event_id=event_id,
            verdict=str(ruling.verdict),
            reason=ruling.reason,
            subscription_id=subscription_id,
            customer_id=customer_id,
        )
    )


async def queue(database: Database, event_id: str, ruling: Ruling) -> None:
    """Keep the event for a try after this transaction; by then somebody else may try it too."""
    await database.execute(
        _SQL["queue"](event_id=event_id, reason=ruling.reason, delay=RETRY_DELAYS[0])
    )


async def claim_try(database: Database, event_id: str) -> None:
    """Let nobody else try the queued event while this process does."""
    await database.execute(_SQL["claim_try"](event_id=event_id, lease=TRY_LEASE))


async def fail(database: Database, event_id: str, error: Exception) -> Ruling:
    """Keep the failed event for another try, or park it after the last."""
    tries: int = await database.fetchval(_SQL["attempts"](event_id=event_id))
    last = tries >= len(RETRY_DELAYS)
    ruling = (
        Ruling(Verdict.PARKED, f"failed {tries + 1} times")
        if last
        else Ruling(Verdict.QUEUED, "its effects failed; it is tried again")
    )
    await database.execute(
        _SQL["fail"](
            event_id=event_id,
            verdict=str(ruling.verdict),
            reason=ruling.reason,
            error=f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX].replace("\0", ""),
            delay=None if last else RETRY_DELAYS[tries],
        )
    )
    return ruling


async def due(database: Database, *, questions_too: bool = True) -> str | None:
    """Lock one queued event that is due for a try, and return its id; None if there is none."""
    event_id: str | None = await database.fetchval(_SQL["due"](questions_too=questions_too))
    return event_id


async def next_attempt_at(database: Database) -> datetime | None:
    """The instant at which the next queued event is to be tried."""
    instant: datetime | None = await database.fetchval(_SQL["next_attempt_at"]())
    return instant
