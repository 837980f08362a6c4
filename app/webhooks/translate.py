"""From an event to what it says; pure, and never guessing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from app.allowance.catalogue import ACCOUNT_KEY
from app.purchases.facts import MoneyEvent
from app.subscriptions.facts import Fact, FactKind, Invoice
from app.webhooks import money_shapes, shapes
from app.webhooks.envelope import created_at, is_thin
from app.webhooks.money_shapes import NothingBought
from app.webhooks.shapes import ShapeError, instant_of, object_of, shown, text_of
from statemachine import trigger_of_status

Part = TypeVar("Part")

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
# Where Stripe shows the object of each type of event; the longer type stands before the shorter.
_PATHS: Final = (
    (_SUBSCRIPTION, "/v1/subscriptions/"),
    ("customer.", "/v1/customers/"),
    ("invoice.", "/v1/invoices/"),
    ("checkout.session.", "/v1/checkout/sessions/"),
    ("charge.dispute.", "/v1/disputes/"),
    ("charge.refund.", "/v1/refunds/"),
    ("refund.", "/v1/refunds/"),
    ("charge.", "/v1/charges/"),
    ("payment_intent.", "/v1/payment_intents/"),
)
_OBJECT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_CONTEXT: Final = re.compile(r"[A-Za-z0-9_/]{1,255}")
_RENEWALS: Final = frozenset({"subscription_cycle", "subscription_update"})


class CustomerFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about a customer itself: its account, or its deletion."""

    event_id: str
    customer_id: str
    occurred_at: datetime
    account_hint: str | None
    hint_refused: str | None
    deleted: bool


class Thin(msgspec.Struct, frozen=True, kw_only=True):
    """An event that names an object and tells nothing of it; ``url`` is where Stripe shows it.

    ``kind`` is the snapshot event's; ``url`` is None if the event names no path of such an object.
    ``context`` is the account that an organization's event is of, by which Stripe is asked.
    """

    event_id: str
    kind: str
    url: str | None
    livemode: bool
    occurred_at: datetime
    context: str | None = None


class Ignored(msgspec.Struct, frozen=True):
    """Nothing that moves a subscription."""

    reason: str


class Parked(msgspec.Struct, frozen=True):
    """It should move one, and is not understood: someone must look at it."""

    reason: str


Translated = Fact | CustomerFact | MoneyEvent | Thin | Ignored | Parked


def translate(event: dict[str, object], keys: Sequence[str] = (ACCOUNT_KEY,)) -> Translated:
    """Return the facts that the event tells. No JSON object makes it raise.

    ``keys`` are the metadata keys that name an account.
    """
    owner = _connected_account(event)
    if owner is not None:
        return Ignored(f"of connected account {shown(owner)}: it moves no account of this book")
    try:
        return _translate(event, text_of(event.get("type"), "type"), keys)
    except ShapeError as error:
        return Parked(f"unknown shape: {error}")


def object_url(event: dict[str, object]) -> str | None:
    """The path of Stripe's API that tells of the object of an event; None if that has no id."""
    kind, data = str(event.get("type")), event.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    number = thing.get("id") if isinstance(thing, dict) else None
    if not _reads(kind) or not isinstance(number, str) or not _OBJECT_ID.fullmatch(number):
        return None
    return f"{_path_before(kind)}{number}"


def _translate(event: dict[str, object], kind: str, keys: Sequence[str]) -> Translated:
    if is_thin(event, kind):
        return _thin(event, kind)
    if kind.startswith(_SUBSCRIPTION):
        # Others than created and deleted carry the same snapshot, also those to come.
        snapshot = _SNAPSHOTS.get(kind.removeprefix(_SUBSCRIPTION), FactKind.UPDATED)
        return _snapshot(event, snapshot, _object(event, "subscription"), keys)
    if kind in _PAYMENTS:
        return _payment(event, _PAYMENTS[kind], _object(event, "invoice"))
    if kind in _CUSTOMERS:
        return _customer(event, kind, _object(event, "customer"), keys)
    money = money_shapes.read(kind, event, keys)
    if money is None:
        return Ignored(f"{kind} moves no subscription")
    return Ignored(money.reason) if isinstance(money, NothingBought) else money


def _connected_account(event: dict[str, object]) -> object | None:
    """Return the connected account of an event that a Connect endpoint brings; ``user_id`` until
    2017-05-25.

    Its customers are not ours, and would buy our credits from somebody else.
    """
    owner = event.get("account")
    return event.get("user_id") if owner is None else owner


def _reads(kind: str) -> bool:
    own = kind.startswith(_SUBSCRIPTION) or kind in _PAYMENTS or kind in _CUSTOMERS
    return own or money_shapes.reads(kind)


def _thin(event: dict[str, object], kind: str) -> Thin | Ignored:
    snapshot = kind.removeprefix("v1.")
    if snapshot == kind or not _reads(snapshot):
        return Ignored(f"{kind} moves no subscription")
    context = event.get("context")
    if context is not None and not (isinstance(context, str) and _CONTEXT.fullmatch(context)):
        raise ShapeError(f"context is {shown(context)}, no account")
    return Thin(
        event_id=text_of(event.get("id"), "id"),
        kind=snapshot,
        url=_path_of(snapshot, event.get("related_object")),
        livemode=event.get("livemode") is True,
        occurred_at=created_at(event),
        context=context,
    )


def _path_of(kind: str, related: object) -> str | None:
    """The path that a thin event names, if it is that of an object of the event's own type.

    So no other host is asked, no query, and nothing but what the type is about.
    """
    url = related.get("url") if isinstance(related, dict) else None
    before = _path_before(kind)
    if not isinstance(url, str) or not url.startswith(before):
        return None
    return url if _OBJECT_ID.fullmatch(url.removeprefix(before)) else None


def _path_before(kind: str) -> str:
    return next(path for begin, path in _PATHS if kind.startswith(begin))


def _object(event: dict[str, object], form: str) -> dict[str, object]:
    data = object_of(object_of(event.get("data"), "data").get("object"), "data.object")
    if data.get("object", form) != form:
        raise ShapeError(f"data.object.object is {shown(data['object'])}, not {form}")
    return data


class Parts:
    """Reads an object part by part: one that nobody can read is noted by name, and left out."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}

    def read(self, name: str, read: Callable[[], Part], otherwise: Part) -> Part:
        """The part, or ``otherwise`` if nobody can read it."""
        try:
            return read()
        except ShapeError as error:
            self.unread[name] = str(error)
            return otherwise


def _snapshot(
    event: dict[str, object],
    kind: FactKind,
    subscription: dict[str, object],
    keys: Sequence[str],
) -> Fact:
    """Return the fact of a subscription's snapshot; an end needs only an id and a time."""
    parts = Parts()
    status = parts.read("status", lambda: _status_of(subscription), None)
    no_hint = shapes.AccountHint()
    hint = parts.read("account_hint", lambda: shapes.account_hint_of(subscription, keys), no_hint)
    fact = Fact(
        event_id=text_of(event.get("id"), "id"),
        subscription_id=text_of(subscription.get("id"), "data.object.id"),
        customer_id=_customer_of(parts, subscription),
        kind=kind,
        occurred_at=instant_of(event.get("created"), "created"),
        status=status,
        prices=parts.read("prices", lambda: shapes.prices_of(subscription), ()),
        period_end=parts.read("period_end", lambda: shapes.period_end_of(subscription), None),
        billing_cycle=parts.read(
            "billing_cycle", lambda: shapes.billing_cycle_of(subscription), None
        ),
        cancel_at_period_end=parts.read(
            "cancel_at_period_end", lambda: shapes.cancels_at_period_end(subscription), False
        ),
        cancel_at=parts.read("cancel_at", lambda: shapes.cancel_at_of(subscription), None),
        collection_paused=subscription.get("pause_collection") is not None,
        latest_invoice=parts.read(
            "latest_invoice", lambda: shapes.latest_invoice_of(subscription), None
        ),
        pending_update=subscription.get("pending_update") is not None,
        account_hint=hint.account_id,
        hint_refused=hint.refused,
        made_at=shapes.made_at_of(subscription),
    )
    return msgspec.structs.replace(fact, unread=parts.unread)


def _customer_of(parts: Parts, thing: dict[str, object]) -> str:
    """Its customer; empty if nobody can read it: that of a known subscription is known."""
    return parts.read("customer_id", lambda: shapes.id_of(thing.get("customer"), "customer"), "")


def _status_of(subscription: dict[str, object]) -> str:
    status = text_of(subscription.get("status"), "status")
    if trigger_of_status(status) is None:
        raise ShapeError(f"unknown status {shown(status)}")
    return status


def _customer(
    event: dict[str, object], kind: str, customer: dict[str, object], keys: Sequence[str]
) -> CustomerFact:
    deleted = kind == "customer.deleted"
    hint = shapes.AccountHint() if deleted else shapes.account_hint_of(customer, keys)
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
    if reason is None:  # Stripe fills it; without it the subscription's snapshot rules
        return Ignored("an invoice that does not say what it is for moves no subscription")
    if kind is FactKind.PAYMENT_FAILED and shapes.is_sent(invoice):
        return Ignored("a failed try leaves what is: the invoice was sent, and is due by its date")
    parts = Parts()
    made_at = parts.read("invoice", lambda: shapes.invoice_made_at_of(invoice), None)
    told = None
    if invoice.get("id") is not None:
        number = text_of(invoice["id"], "the invoice's id")
        told = Invoice(number, made_at, text_of(reason, "billing_reason"))
    fact = Fact(
        event_id=text_of(event.get("id"), "id"),
        subscription_id=subscription_id,
        customer_id=_customer_of(parts, invoice),
        kind=kind,
        occurred_at=instant_of(event.get("created"), "created"),
        invoice=told,
    )
    return msgspec.structs.replace(fact, unread=parts.unread)
