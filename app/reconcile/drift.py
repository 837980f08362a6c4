"""Differences between a stored subscription and Stripe's, and the event that mends them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from app.subscriptions.facts import Fact, FactKind
from app.webhooks.questions import RECONCILED_PREFIX
from app.webhooks.translate import translate
from statemachine import State, advance, trigger_of_status

ENDED: Final = frozenset({"canceled", "incomplete_expired"})

Json = dict[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """One difference."""

    what: str
    ours: str
    stripes: str

    def __str__(self) -> str:
        return f"{self.what} {self.ours} → {self.stripes}"


class Drift(msgspec.Struct, frozen=True):
    """A subscription that differs from Stripe's; ``forbidden`` says why nothing may mend it."""

    subscription_id: str
    differences: tuple[Difference, ...]
    forbidden: str | None = None


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A stored subscription, the account that its metadata names, and whether it is paused.

    Whether its collection is paused comes from the newest snapshot.
    """

    row: Mapping[str, Any]
    named: str
    collection_paused: bool


def snapshot(subscription: Json, asked_at: datetime, keys: Sequence[str], livemode: bool) -> Json:
    """Return the event that says what Stripe answered about the subscription.

    Its id contains the object's id and the second, so that two reconciliations at once mend once.
    An answer that cannot be read keeps one id while it stays the same, so that not every hour
    parks another event.
    """
    kind = "deleted" if subscription.get("status") == "canceled" else "updated"
    event = _event(f"customer.subscription.{kind}", subscription, asked_at, livemode)
    fact = translate(event, keys)
    readable = isinstance(fact, Fact) and not fact.unread
    named = f"{subscription.get('id')} {event['created']}".encode()
    content = named if readable else orjson.dumps(subscription, option=orjson.OPT_SORT_KEYS)
    return event | {"id": RECONCILED_PREFIX + hashlib.sha256(content).hexdigest()[:32]}


def customer_event(customer: Json, asked_at: datetime, livemode: bool) -> Json:
    """Return the event that says what Stripe answered about the customer."""
    kind = "deleted" if customer.get("deleted") is True else "updated"
    event = _event(f"customer.{kind}", customer, asked_at, livemode)
    named = f"{customer.get('id')} {kind} {event['created']}".encode()
    return event | {"id": RECONCILED_PREFIX + hashlib.sha256(named).hexdigest()[:32]}


def _event(kind: str, thing: Json, asked_at: datetime, livemode: bool) -> Json:
    return {
        "id": RECONCILED_PREFIX,
        "object": "event",
        "api_version": None,
        "created": int(asked_at.timestamp()),
        "livemode": thing.get("livemode", livemode),
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": thing},
    }


def drift_of(ours: Ours | None, event: Json, keys: Sequence[str], since: datetime) -> Drift | None:
    """Return what differs between the stored row and the snapshot; None if nothing does.

    ``since`` limits what counts as missed: a subscription that ended before it and was never seen
    here is history.
    """
    fact = translate(event, keys)
    thing = event["data"]["object"]
    if not isinstance(fact, Fact):
        before = "unknown" if ours is None else _shown(ours.row["status"])
        unlike = Difference("status", before, str(thing.get("status")))
        return Drift(str(thing.get("id")), (unlike,))
    if ours is None:
        return None if _is_history(thing, since) else _unknown(fact, thing)
    found = tuple(_differences(ours, fact))
    return Drift(fact.subscription_id, found, _forbidden(ours.row, fact)) if found else None


def _is_history(thing: Json, since: datetime) -> bool:
    ended = thing.get("ended_at") or thing.get("canceled_at") or thing.get("created")
    return thing.get("status") in ENDED and type(ended) is int and ended < since.timestamp()


def _unknown(fact: Fact, thing: Json) -> Drift:
    status = str(thing.get("status"))
    return Drift(fact.subscription_id, (Difference("subscription", "unknown", status),))


def _differences(ours: Ours, fact: Fact) -> list[Difference]:
    """Return the differences part by part; a part that cannot be read is reported, not compared."""
    row, state = ours.row, _state_of(fact)
    parts: list[tuple[str, str, object, object]] = [
        ("customer_id", "customer", row["customer_id"], fact.customer_id),
        ("status", "state", row["state"], str(state)),
    ]
    ended = row["state"] == State.CANCELED and state is State.CANCELED
    if not ended:  # a canceled subscription stays as it was at its end
        at_period_end = row["cancel_at_period_end"], fact.cancel_at_period_end
        parts += [
            ("status", "status", row["status"], fact.status),
            ("prices", "prices", _listed(row["price_ids"]), _listed(fact.prices)),
            ("cancel_at_period_end", "ends with its period", *at_period_end),
            ("cancel_at", "ends", row["cancel_at"], fact.cancel_at),
            ("", "collection paused", ours.collection_paused, fact.collection_paused),
        ]
        if fact.period_end is not None:
            parts.append(("", "period ends", row["period_end_at"], fact.period_end))
        # Otherwise none of its prices was ever known, and it links nothing.
        if row["account_id"] is not None:
            parts.append(("account_hint", "names", ours.named, fact.account_hint or ""))
    found = [
        Difference(what, _shown(mine), _shown(theirs))
        for part, what, mine, theirs in parts
        if part not in fact.unread and mine != theirs
    ]
    if not ended:
        found += [Difference("cannot be read", "", why) for why in fact.unread.values()]
    return found


def _listed(prices: Sequence[str]) -> str:
    return ", ".join(sorted(prices))


def _state_of(fact: Fact) -> State | None:
    """Return our state for Stripe's answer; None if that cannot be read."""
    if fact.kind is FactKind.DELETED:
        return State.CANCELED
    trigger = trigger_of_status(fact.status or "")
    return None if trigger is None else advance(State.CREATED, trigger)


def _forbidden(row: Mapping[str, Any], fact: Fact) -> str | None:
    if fact.customer_id and row["customer_id"] != fact.customer_id:
        return f"parked: the subscription belongs to customer {row['customer_id']} here"
    if row["state"] == State.CANCELED and _state_of(fact) is not State.CANCELED:
        return "it is canceled here, and that is final"
    return None


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
