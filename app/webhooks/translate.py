"""From the bytes of an event to what it says; pure, and never guessing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec
import orjson

from app.errors import PayloadRefusedError
from app.purchases.facts import MoneyEvent
from app.subscriptions.facts import Fact, FactKind
from app.webhooks import money_shapes, shapes
from app.webhooks.money_shapes import NothingBought
from app.webhooks.shapes import ShapeError, instant_of, object_of, shown, text_of
from statemachine import trigger_of_status

# Real events nest some 10 deep; whoever walks one later may do so by recursion.
NESTING_MAX: Final = 64

_NESTING: Final = frozenset({dict, list})  # the very types that orjson makes
_KEY_ENDS: Final = re.compile(rb'"[ \t\r\n]*:')

_SUBSCRIPTION: Final = "customer.subscription."
_SNAPSHOTS: Final = MappingProxyType({"created": FactKind.CREATED, "deleted": FactKind.DELETED})
# Stripe sends both of the latter for one payment; a payment counted twice moves nothing twice.
_PAYMENTS: Final = MappingProxyType(
    {
        "invoice.payment_failed": FactKind.PAYMENT_FAILED,
        "invoice.paid": FactKind.PAYMENT_SUCCEEDED,
        "invoice.payment_succeeded": FactKind.PAYMENT_SUCCEEDED,
    }
)
_CUSTOMERS: Final = frozenset({"customer.created", "customer.updated", "customer.deleted"})
# No other host, no query, and no step back up the path.
_API_PATH: Final = re.compile(r"/v1(/[A-Za-z0-9_-]+)+")
_RENEWALS: Final = frozenset({"subscription_cycle", "subscription_update"})


class EnvelopeError(PayloadRefusedError):
    """The body is no Stripe event, whoever signed it."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What every event has, whatever it is about; ``event`` is all of it."""

    id: str
    type: str
    created_at: datetime
    livemode: bool
    api_version: str | None
    event: dict[str, object]


class CustomerFact(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says of a customer itself: whose account it is, or that it was deleted."""

    event_id: str
    customer_id: str
    occurred_at: datetime
    account_hint: str | None
    hint_refused: str | None
    deleted: bool


class Thin(msgspec.Struct, frozen=True, kw_only=True):
    """An event that names an object and tells nothing of it; ``url`` is where Stripe shows it.

    ``kind`` is the snapshot event's; ``url`` is None where the event names no path of the API's.
    """

    event_id: str
    kind: str
    url: str | None
    livemode: bool
    occurred_at: datetime


class Ignored(msgspec.Struct, frozen=True):
    """Nothing that moves a subscription."""

    reason: str


class Parked(msgspec.Struct, frozen=True):
    """It should move one, and is not understood: someone must look at it."""

    reason: str


def envelope(body: bytes) -> Envelope:
    """Read the event itself; raises EnvelopeError, and nothing else, on any other body.

    What is stored as text (id, type, version) has only printable characters.
    """
    event = _parse(body)
    try:
        return _envelope(event)
    except ShapeError as error:
        raise EnvelopeError(str(error)) from None


def _parse(body: bytes) -> dict[str, object]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError(f"The body is no JSON: {error.msg}.") from None
    if not isinstance(event, dict):
        raise EnvelopeError("The body is no JSON object.")
    keys_kept = _count_keys(event)
    # orjson keeps the last of two equal keys, other readers the first: whoever audits the stored
    # bytes must not see another event than we did. Each key that was sent ends in a quote and a
    # colon. So may a text inside: only where there are more of them than keys were kept is it
    # worth 100 µs to look closely.
    if len(_KEY_ENDS.findall(body)) != keys_kept:
        json.loads(body, object_pairs_hook=_refuse_twice)
    return event


def _count_keys(event: dict[str, object]) -> int:
    """The keys of all its objects; EnvelopeError where it nests too deep."""
    count = 0
    level: list[object] = [event]
    for _ in range(NESTING_MAX):
        below: list[object] = []
        for one in level:
            children: Iterable[object] = one  # type: ignore[assignment]
            if isinstance(one, dict):
                count += len(one)
                children = one.values()
            below += [child for child in children if type(child) in _NESTING]
        if not below:
            return count
        level = below
    raise EnvelopeError(f"The body nests deeper than {NESTING_MAX}.")


def _refuse_twice(pairs: list[tuple[str, object]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise EnvelopeError(f"The key {shown(twice)} stands twice in one object.")


def _envelope(event: dict[str, object]) -> Envelope:
    form = event.get("object", "event")
    if form not in ("event", "v2.core.event"):
        raise ShapeError(f"object is {shown(form)}, no event")
    kind = text_of(event.get("type"), "type")
    if not _is_thin(event, kind):
        object_of(object_of(event.get("data"), "data").get("object"), "data.object")
    livemode, version = event.get("livemode"), event.get("api_version")
    if not isinstance(livemode, bool):
        raise ShapeError(f"livemode is {shown(livemode)}, neither true nor false")
    return Envelope(
        id=text_of(event.get("id"), "id"),
        type=kind,
        created_at=_created_at(event),
        livemode=livemode,
        api_version=None if version is None else text_of(version, "api_version"),
        event=event,
    )


def _created_at(event: dict[str, object]) -> datetime:
    """Unix seconds, or RFC 3339 where the event is a thin one."""
    created = event.get("created")
    if event.get("object") != "v2.core.event" or not isinstance(created, str):
        return instant_of(created, "created")
    try:
        instant = datetime.fromisoformat(created)
    except ValueError:
        raise ShapeError(f"created is {shown(created)}, no instant") from None
    if instant.tzinfo is None:
        raise ShapeError(f"created is {shown(created)}, without a zone")
    instant_of(int(instant.timestamp()), "created")
    return instant.astimezone(UTC)


def _is_thin(event: dict[str, object], kind: str) -> bool:
    return event.get("object") == "v2.core.event" or kind.startswith(("v1.", "v2."))


Translated = Fact | CustomerFact | MoneyEvent | Thin | Ignored | Parked


def translate(event: dict[str, object]) -> Translated:
    """What the event says; total: no JSON object makes it raise."""
    try:
        kind = text_of(event.get("type"), "type")
        if _is_thin(event, kind):
            return _thin(event, kind)
        if kind.startswith(_SUBSCRIPTION):
            # Others than created and deleted carry the same snapshot, also those to come.
            snapshot = _SNAPSHOTS.get(kind.removeprefix(_SUBSCRIPTION), FactKind.UPDATED)
            return _snapshot(event, snapshot, _object(event, "subscription"))
        if kind in _PAYMENTS:
            return _payment(event, _PAYMENTS[kind], _object(event, "invoice"))
        if kind in _CUSTOMERS:
            return _customer(event, kind, _object(event, "customer"))
        money = money_shapes.read(kind, event)
    except ShapeError as error:
        return Parked(f"unknown shape: {error}")
    if money is None:
        money = NothingBought(f"{kind} moves no subscription")
    return Ignored(money.reason) if isinstance(money, NothingBought) else money


def _reads(kind: str) -> bool:
    own = kind.startswith(_SUBSCRIPTION) or kind in _PAYMENTS or kind in _CUSTOMERS
    return own or money_shapes.reads(kind)


def _thin(event: dict[str, object], kind: str) -> Thin | Ignored:
    snapshot = kind.removeprefix("v1.")
    if snapshot == kind or not _reads(snapshot):
        return Ignored(f"{kind} moves no subscription")
    related = event.get("related_object")
    url = related.get("url") if isinstance(related, dict) else None
    known = isinstance(url, str) and len(url) <= shapes.ID_CHARS_MAX and _API_PATH.fullmatch(url)
    return Thin(
        event_id=text_of(event.get("id"), "id"),
        kind=snapshot,
        url=str(url) if known else None,
        livemode=event.get("livemode") is True,
        occurred_at=_created_at(event),
    )


def _object(event: dict[str, object], form: str) -> dict[str, object]:
    data = object_of(object_of(event.get("data"), "data").get("object"), "data.object")
    if data.get("object", form) != form:
        raise ShapeError(f"data.object.object is {shown(data['object'])}, not {form}")
    return data


def _snapshot(
    event: dict[str, object], kind: FactKind, subscription: dict[str, object]
) -> Fact | Parked:
    status = text_of(subscription.get("status"), "status")
    # A .deleted event cancels, whatever status it carries: parked, its credits would go on.
    if trigger_of_status(status) is None and kind is not FactKind.DELETED:
        return Parked(f"unknown status {shown(status)}")
    hint = shapes.account_hint_of(subscription)
    return Fact(
        event_id=text_of(event.get("id"), "id"),
        subscription_id=text_of(subscription.get("id"), "data.object.id"),
        customer_id=shapes.id_of(subscription.get("customer"), "customer"),
        kind=kind,
        occurred_at=instant_of(event.get("created"), "created"),
        status=status,
        prices=shapes.prices_of(subscription),
        period_end=shapes.period_end_of(subscription),
        billing_cycle=shapes.billing_cycle_of(subscription),
        cancel_at_period_end=shapes.cancels_at_period_end(subscription),
        account_hint=hint.account_id,
        hint_refused=hint.refused,
    )


def _customer(event: dict[str, object], kind: str, customer: dict[str, object]) -> CustomerFact:
    deleted = kind == "customer.deleted"
    hint = shapes.AccountHint() if deleted else shapes.account_hint_of(customer)
    return CustomerFact(
        event_id=text_of(event.get("id"), "id"),
        customer_id=text_of(customer.get("id"), "data.object.id"),
        occurred_at=instant_of(event.get("created"), "created"),
        account_hint=hint.account_id,
        hint_refused=hint.refused,
        deleted=deleted,
    )


def _payment(
    event: dict[str, object], kind: FactKind, invoice: dict[str, object]
) -> Fact | Ignored:
    reason = invoice.get("billing_reason")
    if isinstance(reason, str) and reason not in _RENEWALS:
        # A first invoice's failure leaves created, and only the snapshot tells that it began.
        return Ignored(f"an invoice of billing reason {shown(reason)} moves no subscription")
    subscription_id = shapes.invoice_subscription_of(invoice)
    if subscription_id is None:
        return Ignored("an invoice of no subscription")
    text_of(reason, "billing_reason")
    return Fact(
        event_id=text_of(event.get("id"), "id"),
        subscription_id=subscription_id,
        customer_id=shapes.id_of(invoice.get("customer"), "customer"),
        kind=kind,
        occurred_at=instant_of(event.get("created"), "created"),
        invoice=shapes.invoice_of(invoice),
    )
