"""The steps of a story: at a simulated instant, the acts of Stripe and of an application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import orjson

from app.simulate.stripe_objects import JsonObject


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event's bytes on their way; a second delivery has the same."""

    event_id: str
    type: str
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class Put:
    """The application introduces its user."""

    account_id: str
    customer_id: str | None = None
    time_zone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class Spend:
    """The application spends; ``key`` is the Idempotency-Key."""

    account_id: str
    amount: int
    key: str
    reason: str
    refused: bool = False  # whether 402 is the right answer

    @property
    def label(self) -> str:
        """The purpose for reports: the reason's verb."""
        return self.reason.partition(" ")[0]


@dataclass(frozen=True, kw_only=True)
class Close:
    """An operator closes the account."""

    account_id: str


@dataclass(frozen=True, kw_only=True)
class Hold:
    """The application reserves credits before it knows what a job costs."""

    account_id: str
    amount: int
    expires_in_s: int
    key: str
    refused: str | None = None  # the code of the right answer, where that is a refusal


@dataclass(frozen=True, kw_only=True)
class Capture:
    """It spends of the hold that it placed under `hold_key`."""

    hold_key: str
    amount: int
    over: str
    final: bool
    key: str
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Extend:
    """It lets the hold last longer."""

    hold_key: str
    expires_in_s: int
    key: str
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Release:
    """It gives back all of the hold."""

    hold_key: str
    key: str
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Return:
    """It gives back part of a spend or hold, named by its id or, `by_key`, by its own key."""

    account_id: str
    of_key: str
    of_hold: bool
    by_key: bool
    amount: int
    key: str
    refused: str | None = None


Use = Hold | Capture | Extend | Release | Return
Act = Delivery | Put | Spend | Close | Use


@dataclass(frozen=True, kw_only=True)
class Step:
    """The acts of one instant; ``story`` tells them to a person who watches."""

    at: datetime
    story: str
    acts: tuple[Act, ...]


def delivery(event: JsonObject) -> Delivery:
    """Return the event as bytes: made once, so that every delivery sends the same."""
    return Delivery(event_id=str(event["id"]), type=str(event["type"]), payload=orjson.dumps(event))


def deliveries(events: Iterable[JsonObject]) -> tuple[Delivery, ...]:
    """Return these events as bytes, in this order."""
    return tuple(map(delivery, events))
