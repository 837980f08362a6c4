"""Reconciliations as rows: begun once an hour, leased to one worker, resumed where they stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from app.infrastructure.db import Database, Record
from app.operators.acts import Operator, OperatorAct, record

LEASE: Final = timedelta(minutes=2)  # longer than one subscription takes, Stripe's retries included
GOES_ON_FOR: Final = timedelta(days=1)  # an older one is given up: the next one sees it all again


class Part(StrEnum):
    """What a reconciliation does, in this order."""

    EVENTS = "events"  # take in what Stripe could not deliver
    MONEY = "money"  # compare sessions, refunds and disputes with what events told
    LISTED = "listed"  # compare every subscription that Stripe lists
    UNLISTED = "unlisted"  # ask for each of ours that it did not list
    DONE = "done"


class Outcome(StrEnum):
    """What became of something that was missed."""

    FOUND = "found"  # a dry run mends nothing
    MENDED = "mended"
    WAITING = "waiting"  # an event of it is in the inbox and will be tried again
    UNMENDED = "not mended"


class Finding(msgspec.Struct, frozen=True):
    """One event that was not delivered, or one subscription that differs."""

    thing: str
    what: str
    outcome: Outcome
    note: str


class Counts(msgspec.Struct):
    """What it came to so far."""

    events_taken: int = 0
    payments: int = 0
    compared: int = 0
    recognized: int = 0
    mended: int = 0
    waiting: int = 0
    unmended: int = 0


class Reconciliation(msgspec.Struct, kw_only=True):
    """One of them, in memory; ``save`` writes it."""

    number: int
    dry_run: bool
    since: datetime
    part: Part = Part.EVENTS
    reached: str | None = None
    counts: Counts = msgspec.field(default_factory=Counts)
    notes: list[str] = msgspec.field(default_factory=list)

    def go_on(self, part: Part) -> None:
        """The next part, from its beginning."""
        self.part, self.reached = part, None

    def begins_anew(self, resumed_at: str | None) -> bool:
        """Whether the list refused where it was gone on from, which may be gone: it begins anew."""
        if resumed_at is None or self.reached != resumed_at:
            return False
        self.reached = None
        return True


async def begin(
    database: Database, by: Operator, since: datetime, *, dry_run: bool
) -> Reconciliation:
    """One that somebody asked for; what mends is an operator's act."""
    async with database.transaction():
        number = await database.fetchval(
            """INSERT INTO reconciliations (started_by, dry_run, since_at, started_at, leased_until)
               VALUES ($1, $2, $3, tallybook_now(), 'infinity') RETURNING id""",
            by.actor,
            dry_run,
            since,
        )
        if not dry_run:
            await record(database, OperatorAct.RECONCILE, by, subject=f"reconciliation {number}")
    return Reconciliation(number=number, dry_run=dry_run, since=since)


async def claim_hourly(database: Database, since: datetime) -> Reconciliation | None:
    """The hour's, begun or resumed, for this worker alone; None where there is nothing to do."""
    async with database.transaction():
        going = await database.fetchrow(
            """SELECT * FROM reconciliations WHERE finished_at IS NULL AND hour_at IS NOT NULL
                  AND started_at > tallybook_now() - $1::interval
                ORDER BY id DESC LIMIT 1 FOR UPDATE""",
            GOES_ON_FOR,
        )
        if going is None:
            going = await database.fetchrow(
                """INSERT INTO reconciliations
                          (hour_at, started_by, dry_run, since_at, started_at, leased_until)
                   SELECT date_trunc('hour', now), 'hourly', false, $1, now, now - interval '1 s'
                     FROM (SELECT tallybook_now() AS now) AS clock
                   ON CONFLICT (hour_at) DO NOTHING RETURNING *""",
                since,
            )
        if going is None:
            return None
        leased = await database.fetchval(
            """UPDATE reconciliations SET leased_until = tallybook_now() + $2
                WHERE id = $1 AND leased_until < tallybook_now() RETURNING true""",
            going["id"],
            LEASE,
        )
    return _read(going) if leased else None


def _read(row: Record) -> Reconciliation:
    return Reconciliation(
        number=row["id"],
        dry_run=row["dry_run"],
        since=row["since_at"],
        part=Part(row["part"]),
        reached=row["reached"],
        counts=Counts(**{name: row[name] for name in Counts.__struct_fields__}),
        notes=list(row["notes"]),
    )


async def save(database: Database, one: Reconciliation) -> None:
    """Keep how far it is, and the lease; finished where its part says so."""
    counts = msgspec.structs.asdict(one.counts)
    assigned = ", ".join(f"{name} = ${at}" for at, name in enumerate(counts, 6))
    await database.execute(
        f"""UPDATE reconciliations SET part = $2, reached = $3, notes = $4,
                   finished_at = CASE WHEN $2 = 'done' THEN tallybook_now() END,
                   leased_until = greatest(leased_until, tallybook_now() + $5), {assigned}
             WHERE id = $1""",
        one.number,
        str(one.part),
        one.reached,
        one.notes,
        LEASE,
        *counts.values(),
    )


async def release(database: Database, one: Reconciliation) -> None:
    """Let the next tick go on with it at once."""
    await database.execute(
        """UPDATE reconciliations SET leased_until = tallybook_now() - interval '1 s'
            WHERE id = $1 AND finished_at IS NULL""",
        one.number,
    )


async def sight(database: Database, one: Reconciliation, subscription_ids: Sequence[str]) -> None:
    """Keep which of ours Stripe listed."""
    await database.execute(
        """INSERT INTO sightings (subscription_id, reconciliation_id)
           SELECT id, $1 FROM subscriptions WHERE id = ANY($2::text[]) ORDER BY id
           ON CONFLICT (subscription_id) DO UPDATE SET reconciliation_id =
               greatest(sightings.reconciliation_id, excluded.reconciliation_id)""",
        one.number,
        list(subscription_ids),
    )


async def unlisted(database: Database, one: Reconciliation, limit: int) -> list[str]:
    """The next of ours, not canceled, that Stripe did not list since this one began."""
    rows = await database.fetch(
        """SELECT id FROM subscriptions LEFT JOIN sightings ON subscription_id = id
            WHERE state <> 'canceled' AND coalesce(reconciliation_id, 0) < $1
              AND ($2::text IS NULL OR id > $2)
            ORDER BY id LIMIT $3""",
        one.number,
        one.reached,
        limit,
    )
    return [row["id"] for row in rows]


async def fetched(database: Database, one: Reconciliation, event_id: str) -> None:
    """Keep that no webhook brings this event, but this reconciliation."""
    await database.execute(
        """INSERT INTO fetched_events (event_id, reconciliation_id) VALUES ($1, $2)
           ON CONFLICT (event_id) DO NOTHING""",
        event_id,
        one.number,
    )


async def recognized(database: Database, subscription_ids: Sequence[str]) -> int:
    """How many of these a signed webhook told of: who lists them is whom we hear from."""
    return await database.fetchval(  # type: ignore[no-any-return]
        """SELECT count(*) FROM subscriptions WHERE id = ANY($1::text[]) AND EXISTS (
               SELECT FROM facts LEFT JOIN fetched_events USING (event_id)
                WHERE facts.subscription_id = subscriptions.id AND reconciliation_id IS NULL)""",
        list(subscription_ids),
    )
