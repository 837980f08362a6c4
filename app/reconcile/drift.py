"""Where a subscription of ours differs from Stripe's, and the event that mends it; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from app.subscriptions.facts import Fact, FactKind
from app.webhooks.translate import translate
from statemachine import State, advance, trigger_of_status

ID_PREFIX: Final = "tbrec_"
ENDED: Final = frozenset({"canceled", "incomplete_expired"})

Json = dict[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """One thing that is told differently."""

    what: str
    ours: str
    stripes: str

    def __str__(self) -> str:
        return f"{self.what} {self.ours} → {self.stripes}"


class Drift(msgspec.Struct, frozen=True):
    """A subscription that is not what Stripe says; ``forbidden`` says why nothing may mend it."""

    subscription_id: str
    differences: tuple[Difference, ...]
    forbidden: str | None = None


def snapshot(subscription: Json, asked_at: datetime, livemode: bool) -> Json:
    """The event that tells of the subscription as Stripe answered it.

    Its id is the object's and the second's, so that two who mend at once mend once. What nobody
    can read keeps one id as long as it stays as it is, so that each hour does not park another.
    """
    kind = "deleted" if subscription.get("status") == "canceled" else "updated"
    event = {
        "id": ID_PREFIX,
        "object": "event",
        "api_version": None,
        "created": int(asked_at.timestamp()),
        "livemode": subscription.get("livemode", livemode),
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": f"customer.subscription.{kind}",
        "data": {"object": subscription},
    }
    fact = translate(event)
    readable = isinstance(fact, Fact) and not fact.unread
    named = f"{subscription.get('id')} {event['created']}".encode()
    content = named if readable else orjson.dumps(subscription, option=orjson.OPT_SORT_KEYS)
    return event | {"id": ID_PREFIX + hashlib.sha256(content).hexdigest()[:32]}


def drift_of(ours: Mapping[str, Any] | None, event: Json, since: datetime) -> Drift | None:
    """What differs between our row and the snapshot; None where nothing does.

    ``since`` bounds what counts as missed: who ended before it and never came here is history.
    """
    fact = translate(event)
    thing = event["data"]["object"]
    if not isinstance(fact, Fact):
        told = str(thing.get("status"))
        return Drift(str(thing.get("id")), (Difference("status", _text(ours, "status"), told),))
    if ours is None:
        return None if _is_history(thing, since) else _unknown(fact)
    found = tuple(_differences(ours, fact))
    return Drift(fact.subscription_id, found, _forbidden(ours, fact)) if found else None


def _is_history(thing: Json, since: datetime) -> bool:
    ended = thing.get("ended_at") or thing.get("canceled_at") or thing.get("created")
    return thing.get("status") in ENDED and type(ended) is int and ended < since.timestamp()


def _unknown(fact: Fact) -> Drift:
    return Drift(fact.subscription_id, (Difference("subscription", "unknown", fact.status or ""),))


def _differences(ours: Mapping[str, Any], fact: Fact) -> list[Difference]:
    state = _state_of(fact)
    pairs: list[tuple[str, object, object]] = [
        ("customer", ours["customer_id"], fact.customer_id),
        ("state", ours["state"], str(state)),
    ]
    # What is canceled stays as it was at its end.
    if not (ours["state"] == State.CANCELED and state is State.CANCELED):
        pairs += [
            ("status", ours["status"], fact.status),
            ("ends with its period", ours["cancel_at_period_end"], fact.cancel_at_period_end),
            ("ends", ours["cancel_at"], fact.cancel_at),
        ]
        if fact.prices is not None:
            prices = ", ".join(sorted(fact.prices))
            pairs.append(("prices", ", ".join(sorted(ours["price_ids"])), prices))
        if fact.period_end is not None:
            pairs.append(("period ends", ours["period_end_at"], fact.period_end))
    return [
        Difference(what, _shown(mine), _shown(theirs))
        for what, mine, theirs in pairs
        if mine != theirs
    ]


def _state_of(fact: Fact) -> State:
    if fact.kind is FactKind.DELETED:
        return State.CANCELED
    trigger = trigger_of_status(fact.status or "")
    return State.CREATED if trigger is None else advance(State.CREATED, trigger)


def _forbidden(ours: Mapping[str, Any], fact: Fact) -> str | None:
    if ours["customer_id"] != fact.customer_id:
        return f"parked: the subscription belongs to customer {ours['customer_id']} here"
    if ours["state"] == State.CANCELED and _state_of(fact) is not State.CANCELED:
        return "it is canceled here, and that is final"
    return None


def _text(ours: Mapping[str, Any] | None, name: str) -> str:
    return "unknown" if ours is None else _shown(ours[name])


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
