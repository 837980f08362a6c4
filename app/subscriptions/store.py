"""Store what is known of a subscription: its facts, its state, the transitions between states.

Nothing else writes a subscription's state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import orjson
import structlog

from app.errors import BusyError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber
from app.subscriptions.derive import (
    FOLD_FORM,
    Derived,
    Fold,
    Folded,
    Pricing,
    checkpoint_of,
    fold,
)
from app.subscriptions.facts import Fact, FactKind
from app.subscriptions.order import Detail, undecided

if TYPE_CHECKING:
    from app.subscriptions import row_types


_SQL: Final[row_types.StoreSql] = sql.beside(__file__)
_GIVING: Final = ("account_id", "tier", "grace_tier", "grace_ends_at")
# A fact that changes none of these has no effect, on the account or in the transitions.
_STAYS: Final = (*_GIVING, "state", "failing_since")
_LATE: Final = datetime(9999, 12, 31, tzinfo=UTC)


log = structlog.get_logger("tallybook.transition")


class Outcome(StrEnum):
    """The effect of a fact on its subscription."""

    CHANGED = "changed"  # it is the newest, or it changed the derived state
    STALE = "stale"  # an older fact that changes nothing


class Settled(msgspec.Struct, frozen=True):
    """A subscription after its facts were folded again."""

    derived: Derived
    outcome: Outcome


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription to derive, and the catalogue to use.

    ``fact`` is the new fact to store; it is None if something else changed, back to ``since``
    (None: nothing changed in the past). ``deleted`` means that the customer was deleted.
    """

    subscription_id: str
    customer_id: str
    catalogue_id: int
    fact: Fact | None = None
    since: datetime | None = None
    deleted: Fact | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription derived from all its facts, with its present row.

    ``given`` are the facts that were read: all facts if the subscription has no row yet.
    """

    asked: Asked
    given: Sequence[Fact]
    folded: Folded
    created_at: datetime
    stored: Record | None
    settled_before: Fold | None

    @property
    def derived(self) -> Derived:
        """Return the derived state."""
        return self.folded.derived

    @property
    def made_at(self) -> datetime:
        """Return when Stripe made the subscription; if unknown, when it was first heard of."""
        snapshot = self.derived.last_snapshot
        return snapshot.made_at if snapshot and snapshot.made_at else self.created_at

    @property
    def begins_earlier(self) -> bool:
        """Return whether a late fact is older than all known ones."""
        return self.stored is not None and self.created_at < self.stored["created_at"]

    def gives_the_same(self, account_id: AccountNumber) -> bool:
        """Return whether it gives this account what it gave before."""
        if self.stored is None:
            return False
        row = row_of(self.derived, account_id)
        return all(self.stored[name] == row[name] for name in _GIVING)


class OwnerConflict(msgspec.Struct, frozen=True):
    """The subscription belongs to this other customer."""

    customer_id: str


async def read(database: Database, pricing: Pricing, asked: Asked) -> Reading | OwnerConflict:
    """Store the fact and derive the subscription; the caller holds its customer's lock.

    The cost does not grow with the history, unless the fact is older than the newest second.
    """
    row = await _read(database, asked)
    if row["customer_id"] not in (None, asked.customer_id):
        return OwnerConflict(row["customer_id"])
    gathered = gather(asked, row, from_checkpoint=row["folded_to"] is not None)
    return gathered.reading(pricing, await details_of(database, gathered.wanted))


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """The input for deriving a subscription; ``wanted`` names the events whose raw objects are
    needed.
    """

    asked: Asked
    stored: Record | None
    given: list[Fact]
    base: Fold | None
    settled_before: Fold | None
    created_at: datetime

    @property
    def wanted(self) -> set[str]:
        """Return event ids; usually none."""
        return undecided(self.given, self.base.last_snapshot if self.base else None)

    def reading(self, pricing: Pricing, details: Mapping[str, Detail]) -> Reading:
        """Return the derived subscription; pure."""
        return Reading(
            asked=self.asked,
            given=self.given,
            folded=fold(self.given, pricing, details, self.base),
            created_at=self.created_at,
            stored=self.stored,
            settled_before=self.settled_before,
        )


def gather(asked: Asked, row: Record, *, from_checkpoint: bool) -> Gathered:
    """Return the input from the subscription's row and its facts (``bodies``); pure."""
    told = sorted(_decoded(row["bodies"]), key=lambda fact: fact.reading)
    facts = {fact.event_id: fact for fact in told}
    if asked.fact is not None:
        facts[asked.fact.event_id] = asked.fact
    stored = None if row["id"] is None else row
    settled = checkpoint_of(row["settled"])
    base = settled if from_checkpoint else None
    begins = [fact.occurred_at for fact in facts.values()]
    begins += [stored["created_at"]] if stored else []
    return Gathered(
        asked=asked,
        stored=stored,
        given=[*facts.values(), *_deletion(asked, base)],
        base=base,
        settled_before=settled,
        created_at=min(begins),
    )


async def _read(database: Database, asked: Asked) -> row_types.StoreRead:
    fact = asked.fact
    known = {
        "subscription_id": asked.subscription_id,
        "catalogue_id": asked.catalogue_id,
        "after": fact.occurred_at if fact else (asked.since or _LATE),
        "form": FOLD_FORM,
    }
    if fact is None:
        statement = _SQL["read"](**known)
    else:
        statement = _SQL["keep_and_read"](
            **known,
            event_id=fact.event_id,
            body=msgspec.json.encode(fact).decode(),
            reading=fact.reading,
            customer_id=asked.customer_id,
        )
    row = await database.fetchrow(statement)
    assert row is not None
    return row


async def customer_of(database: Database, subscription_id: str) -> str | None:
    """Return the customer of a subscription; None if it is unknown."""
    customer_id: str | None = await database.fetchval(
        _SQL["customer_of"](subscription_id=subscription_id)
    )
    return customer_id


async def keep(database: Database, fact: Fact) -> None:
    """Store a fact of a subscription whose customer is not known yet; it counts once that is."""
    await database.execute(
        _SQL["keep"](
            event_id=fact.event_id,
            subscription_id=fact.subscription_id,
            occurred_at=fact.occurred_at,
            body=msgspec.json.encode(fact).decode(),
            reading=fact.reading,
        )
    )


async def facts_of(database: Database, subscription_id: str) -> list[Fact]:
    """Return every fact of a subscription, in no order."""
    bodies = await database.fetchval(_SQL["facts_of"](subscription_id=subscription_id))
    return _decoded(bodies)


def _decoded(bodies: list[str] | None) -> list[Fact]:
    return [msgspec.json.decode(body, type=Fact) for body in bodies or ()]


def _deletion(asked: Asked, settled: Fold | None) -> list[Fact]:
    if asked.deleted is None:
        return []
    folded_to = settled.to if settled else None
    folded = folded_to is not None and asked.deleted.occurred_at <= folded_to
    return [] if folded else [asked.deleted]


async def settle(database: Database, reading: Reading, account_id: AccountNumber | None) -> Settled:
    """Store what was derived; the caller holds the customer's lock.

    The caller also holds the account's lock, unless the subscription gives the same as before.
    """
    derived, stored, fact = reading.derived, reading.stored, reading.asked.fact
    row = row_of(derived, account_id)
    changed = stored is None or any(stored[name] != value for name, value in row.items())
    lags = stored is not None and stored["catalogue_id"] != reading.asked.catalogue_id
    refolded = reading.folded.settled != reading.settled_before
    if changed or lags or refolded or reading.begins_earlier:
        await _upsert(database, reading, account_id)
        await _store_transition(database, stored, derived)
    newest = fact is None or derived.last.event_id == fact.event_id
    return Settled(derived, Outcome.CHANGED if changed or newest else Outcome.STALE)


def read_no_effect(
    pricing: Pricing, asked: Asked, row: Record, account_id: AccountNumber
) -> Reading | None:
    """The subscription with its new fact; None if the fact has effects.

    ``row`` is the subscription's row, with the facts since its checkpoint (``bodies``). Pure.
    """
    fact = asked.fact
    assert fact is not None
    # Without a checkpoint all facts were read; most of them are of its first second.
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


async def keep_many(database: Database, readings: Sequence[Reading]) -> None:
    """Store the facts of ``read_no_effect``'s readings, and their small changes.

    The caller holds the customers' locks. Raises BusyError if a subscription changed meanwhile.
    """
    facts = [reading.asked.fact for reading in readings if reading.asked.fact is not None]
    rows = [
        written(reading, reading.stored["account_id"])
        for reading in readings
        if reading.stored is not None
    ]
    done = await database.execute(
        _SQL["keep_and_upsert"](
            event_ids=[fact.event_id for fact in facts],
            subscription_ids=[fact.subscription_id for fact in facts],
            occurred_at=[fact.occurred_at for fact in facts],
            bodies=[msgspec.json.encode(fact).decode() for fact in facts],
            rows=msgspec.json.encode(rows).decode(),
        )
    )
    if done != f"INSERT 0 {len(facts)}":
        raise BusyError("A subscription of the batch was changed by somebody else just now.")


async def details_of(database: Database, event_ids: set[str]) -> dict[str, Detail]:
    """Return the raw objects of these events, each in its newest reading."""
    if not event_ids:
        return {}
    rows = await database.fetch(_SQL["newest_payloads"](event_ids=sorted(event_ids)))
    return {row["id"]: _detail(row["payload"]) for row in rows}


def _detail(payload: bytes) -> Detail:
    data = orjson.loads(payload)["data"]
    return Detail(data["object"], data.get("previous_attributes") or {})


def row_of(derived: Derived, account_id: AccountNumber | None) -> dict[str, object]:
    """The subscription's columns, but for its customer and its checkpoint."""
    snapshot = derived.snapshot
    return {
        "account_id": account_id,
        "state": str(derived.state),
        "status": _status_of(snapshot) if snapshot else None,
        "price_id": snapshot.prices[0] if snapshot and snapshot.prices else None,
        "price_ids": list(snapshot.prices) if snapshot else [],
        "period_end_at": snapshot.period_end if snapshot else None,
        "billing_cycle": snapshot.billing_cycle if snapshot else None,
        "cancel_at_period_end": snapshot.cancel_at_period_end if snapshot else False,
        "cancel_at": snapshot.cancel_at if snapshot else None,
        "tier": derived.tier,
        "grace_tier": derived.grace_tier,
        "failing_since": derived.failing_since,
        "grace_ends_at": derived.grace_ends_at,
        "last_event_id": derived.last.event_id,
        "last_event_at": derived.last.occurred_at,
    }


def _status_of(snapshot: Fact) -> str | None:
    """Return Stripe's status; a deleted subscription is canceled, whatever its last
    snapshot says.
    """
    return "canceled" if snapshot.kind is FactKind.DELETED else snapshot.status


def written(reading: Reading, account_id: AccountNumber | None) -> dict[str, object]:
    """The row that is written of a derived subscription, but for when it is."""
    settled = reading.folded.settled
    return {
        "id": reading.asked.subscription_id,
        "created_at": reading.created_at,
        "customer_id": reading.asked.customer_id,
        **row_of(reading.derived, account_id),
        "catalogue_id": reading.asked.catalogue_id,
        "settled_to": settled.to if settled else None,
        "settled": settled,
        "settled_catalogue_id": reading.asked.catalogue_id if settled else None,
    }


async def _upsert(database: Database, reading: Reading, account_id: AccountNumber | None) -> None:
    rows = msgspec.json.encode([written(reading, account_id)]).decode()
    done = await database.execute(_SQL["upsert"](rows=rows))
    if done.endswith(" 0"):
        raise BusyError("An event of another customer named the subscription just now.")


async def _store_transition(database: Database, stored: Record | None, derived: Derived) -> None:
    before = stored["state"] if stored else None
    if before == derived.state:
        return
    await database.execute(
        _SQL["add_transition"](
            subscription_id=derived.last.subscription_id,
            from_state=before,
            to_state=str(derived.state),
            trigger=str(derived.trigger),
            event_id=derived.decided_by.event_id,
            effective_at=derived.decided_by.occurred_at,
        )
    )
    step = {"from": before, "to": str(derived.state), "trigger": str(derived.trigger)}
    names = {
        "subscription_id": derived.last.subscription_id,
        "event_id": derived.decided_by.event_id,
    }
    database.after_commit(lambda: log.info("transition", **step, **names))
