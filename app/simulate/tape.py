"""A tape: what Stripe and an application do, step by step at simulated instants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from app.simulate.expectation import Expected
from app.simulate.stripe_objects import JsonObject

# Where a clock stands that no tape has moved yet; the first tape starts here.
TAPE_START: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event's bytes on their way; a second delivery has the same."""

    event_id: str
    type: str
    payload: bytes


@dataclass(frozen=True)
class SendEvents:
    """Stripe delivers, in this order."""

    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, kw_only=True)
class Put:
    """The application introduces its user."""

    account_id: str
    customer_id: str | None
    time_zone: str


@dataclass(frozen=True, kw_only=True)
class Spend:
    """The application spends; ``key`` is the Idempotency-Key."""

    account_id: str
    amount: int
    key: str
    reason: str
    refused: bool  # whether 402 is the right answer


@dataclass(frozen=True)
class MoveClock:
    """Nothing but time passes."""


Action = SendEvents | Put | Spend | MoveClock


@dataclass(frozen=True, kw_only=True)
class Step:
    """The clock is moved to ``at``, then the action is done; ``story`` is for whoever watches."""

    at: datetime
    story: str
    action: Action


@dataclass(frozen=True, kw_only=True)
class Customer:
    """Whom the tape is about, and how it must end."""

    account_id: str
    story: str
    expected: Expected


@dataclass(frozen=True, kw_only=True)
class Tape:
    """Steps in time order, no two at one instant.

    That is what lets a tape go on after a crash: the clock moves only when a step is answered, so
    every step before the clock is done, and only the one at the clock may have to be repeated.
    """

    starts_at: datetime
    ends_at: datetime
    steps: tuple[Step, ...]
    customers: tuple[Customer, ...]


def delivery(event: JsonObject) -> Delivery:
    """The event as bytes: made once, so that every delivery sends the same."""
    return Delivery(event_id=str(event["id"]), type=str(event["type"]), payload=orjson.dumps(event))


def deliveries(events: Iterable[JsonObject]) -> SendEvents:
    """These events, in this order."""
    return SendEvents(tuple(delivery(event) for event in events))
