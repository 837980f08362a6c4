"""Reconciliations as rows: begun once an hour, leased to one worker, resumed after a stop."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.operators.acts import Operator, OperatorAct, record

if TYPE_CHECKING:
    from app.reconcile import row_types
    from app.tables.row_types import ReconciliationsRow


_SQL: Final[row_types.StoreSql] = sql.beside(__file__)
LEASE: Final = timedelta(minutes=2)  # longer than one subscription takes, with Stripe's retries
# An older one is given up: the next one sees everything again.
GOES_ON_FOR: Final = timedelta(days=1)


class Part(StrEnum):
    """The parts of a reconciliation, in their order."""

    EVENTS = "events"  # fetch the events that Stripe could not deliver
    MONEY = "money"  # compare sessions, refunds and disputes with the facts
    LISTED = "listed"  # compare every subscription that Stripe lists
    UNLISTED = "unlisted"  # ask for each stored subscription that Stripe did not list
    DONE = "done"


class Outcome(StrEnum):
    """The result for something that was missed."""

    FOUND = "found"  # a dry run mends nothing
    MENDED = "mended"
    WAITING = "waiting"  # its event is in the inbox and will be retried
    UNMENDED = "not mended"


class Finding(msgspec.Struct, frozen=True):
    """One event that was not delivered, or one subscription that differs."""

    thing: str
    what: str
    outcome: Outcome
    note: str


class Counts(msgspec.Struct):
    """The sums so far; ``not_compared`` counts lists that Stripe refused or that were cut short."""

    events_taken: int = 0
    payments: int = 0
    compared: int = 0
    recognized: int = 0
    mended: int = 0
    waiting: int = 0
    unmended: int = 0
    not_compared: int = 0


class Reconciliation(msgspec.Struct, kw_only=True):
    """One reconciliation in memory; ``save`` writes it."""

    number: int
    dry_run: bool
    since: datetime
    part: Part = Part.EVENTS
    reached: str | None = None
    counts: Counts = msgspec.field(default_factory=Counts)
    notes: list[str] = msgspec.field(default_factory=list)

    def go_on(self, part: Part) -> None:
        """Begin the next part."""
        self.part, self.reached = part, None

    def lacks(self, note: str) -> None:
        """Note something that could not be compared."""
        self.notes.append(note)
        self.counts.not_compared += 1

    def resets_if_cursor_rejected(self, resumed_at: str | None) -> bool:
        """Start the part again if Stripe refused the saved cursor: its object may be gone.

        Returns False if the part had not been resumed from there, so that the refusal counts.
        """
        if resumed_at is None or self.reached != resumed_at:
            return False
        self.reached = None
        return True


async def begin(
    database: Database, by: Operator, since: datetime, *, dry_run: bool
) -> Reconciliation:
    """Begin one that somebody asked for; if it mends, it is recorded as an operator's act."""
    async with database.transaction():
        number = await database.fetchval(
            _SQL["begin"](started_by=by.actor, dry_run=dry_run, since_at=since)
        )
        if not dry_run:
            await record(database, OperatorAct.RECONCILE, by, subject=f"reconciliation {number}")
    return Reconciliation(number=number, dry_run=dry_run, since=since)


async def claim_hourly(database: Database, since: datetime) -> Reconciliation | None:
    """Begin or resume the hour's for this worker alone; None if there is nothing to do."""
    async with database.transaction():
        going = await database.fetchrow(_SQL["lock_going"](goes_on_for=GOES_ON_FOR))
        if going is None:
            going = await database.fetchrow(_SQL["begin_hourly"](since_at=since))
        if going is None:
            return None
        leased = await database.fetchval(_SQL["lease"](id=going["id"], lease=LEASE))
    return _read(going) if leased else None


def _read(row: ReconciliationsRow) -> Reconciliation:
    counted: dict[str, Any] = dict(row)
    return Reconciliation(
        number=row["id"],
        dry_run=row["dry_run"],
        since=row["since_at"],
        part=Part(row["part"]),
        reached=row["reached"],
        counts=Counts(**{name: counted[name] for name in Counts.__struct_fields__}),
        notes=list(row["notes"]),
    )


async def save(database: Database, one: Reconciliation) -> None:
    """Store the progress and the lease; it is finished when its part says so."""
    await database.execute(
        _SQL["save"](
            id=one.number,
            part=str(one.part),
            reached=one.reached,
            notes=one.notes,
            lease=LEASE,
            **msgspec.structs.asdict(one.counts),
        )
    )


async def release(database: Database, one: Reconciliation) -> None:
    """Release the lease, so that the next tick continues at once."""
    await database.execute(_SQL["release"](id=one.number))


async def sight(database: Database, one: Reconciliation, subscription_ids: Sequence[str]) -> None:
    """Store which of our subscriptions Stripe listed."""
    await database.execute(_SQL["sight"](id=one.number, subscription_ids=list(subscription_ids)))


async def unlisted(database: Database, one: Reconciliation, limit: int) -> list[str]:
    """Return the next stored subscriptions, not canceled, that Stripe did not list this time."""
    rows = await database.fetch(_SQL["unlisted"](id=one.number, after=one.reached, limit=limit))
    return [row["id"] for row in rows]


async def fetched(database: Database, one: Reconciliation, event_id: str) -> None:
    """Record that this reconciliation brought the event, not a webhook."""
    await database.execute(_SQL["fetched"](event_id=event_id, id=one.number))


async def recognized(database: Database, subscription_ids: Sequence[str]) -> int:
    """Return how many a signed webhook has named: if any, the API key is of the right account."""
    return await database.fetchval(  # type: ignore[no-any-return]
        _SQL["recognized"](subscription_ids=list(subscription_ids))
    )


async def taken_over(database: Database) -> str | None:
    """Return a sentence on the subscriptions older than this book; None if there were none."""
    rows = await database.fetch(_SQL["taken_over"]())
    total = sum(row["subscriptions"] for row in rows)
    if not total:
        return None
    by_tier = ", ".join(f"{row['subscriptions']:,} {row['tier']}" for row in rows)
    word = "subscription" if total == 1 else "subscriptions"
    return f"{total:,} {word} taken over from Stripe that no webhook had told of: {by_tier}"


async def compared_once(database: Database) -> bool:
    """Return whether any comparison with Stripe has finished."""
    return bool(await database.fetchval(_SQL["compared_once"]()))
