"""Facts about one payment, each from one Stripe event, free of API versions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

MONEY_MAX: Final = 10**12  # in a currency's smallest unit; Stripe's own limit is 12 digits


class RefundStatus(StrEnum):
    """Stripe's statuses in the order of a refund's life; no refund goes back to an earlier one."""

    REQUIRES_ACTION = "requires_action"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    """Stripe's statuses, in the order that decides between two of the same second."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    RESPONSE_DISABLED = "response_disabled"
    UNDER_REVIEW = "under_review"
    PREVENTED = "prevented"
    CHARGE_REFUNDED = "charge_refunded"
    LOST = "lost"
    WON = "won"


class SessionFact(msgspec.Struct, frozen=True, kw_only=True, tag="session"):
    """A Checkout session.

    ``paid`` means that its payment succeeded, or that none is needed. ``amount`` is the price in
    the currency's smallest unit. ``prices`` are (price id, quantity) of its line items. They are
    None if the event has none, or none that can be read (see ``unread``). ``quantity`` is the
    number of packs (``pack``) that the server wrote.

    ``account_hint`` is the application's id in its metadata; ``hint_refused`` means that the value
    there is not a valid id. ``by_payment_link`` means that a payment link made the session: anyone
    who opened the link may have written the names in it. ``made_at`` is when Stripe made the
    session.
    """

    event_id: str
    occurred_at: datetime
    session_id: str
    mode: str
    paid: bool
    payment_intent: str | None = None
    customer_id: str | None = None
    client_reference_id: str | None = None
    account_hint: str | None = None
    hint_refused: str | None = None
    by_payment_link: bool = False
    subscription_id: str | None = None
    amount: int = 0
    currency: str | None = None
    pack: str | None = None
    quantity: int | None = None
    prices: tuple[tuple[str, int], ...] | None = None
    unread: str | None = None
    made_at: datetime | None = None


class CaptureFact(msgspec.Struct, frozen=True, kw_only=True, tag="capture"):
    """The money of a payment intent was captured; a session with manual capture waits for this."""

    event_id: str
    occurred_at: datetime
    payment_intent: str
    charge_id: str | None
    amount: int
    currency: str | None = None


class RefundFact(msgspec.Struct, frozen=True, kw_only=True, tag="refund"):
    """A refund; ``made_at`` is when it was requested.

    ``names_no_intent`` means that Stripe says there is none: only the charge is known.
    """

    event_id: str
    occurred_at: datetime
    refund_id: str
    made_at: datetime
    payment_intent: str | None
    charge_id: str | None
    amount: int
    currency: str | None
    status: RefundStatus
    names_no_intent: bool = False


class ChargeFact(msgspec.Struct, frozen=True, kw_only=True, tag="charge"):
    """The cumulative amount that was refunded of a charge."""

    event_id: str
    occurred_at: datetime
    charge_id: str
    payment_intent: str | None
    amount_refunded: int
    currency: str | None


class DisputeFact(msgspec.Struct, frozen=True, kw_only=True, tag="dispute"):
    """A dispute; events of old API versions name only its charge.

    ``names_no_intent`` has the same meaning as for a refund.
    """

    event_id: str
    occurred_at: datetime
    dispute_id: str
    payment_intent: str | None
    charge_id: str | None
    amount: int
    currency: str | None
    status: DisputeStatus
    names_no_intent: bool = False


MoneyFact = SessionFact | CaptureFact | RefundFact | ChargeFact | DisputeFact


class MoneyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event's facts: a charge's event may carry its refunds as well."""

    event_id: str
    occurred_at: datetime
    facts: tuple[MoneyFact, ...]


def kind_of(fact: MoneyFact) -> str:
    """Return the kind under which the fact is stored."""
    return str(fact.__struct_config__.tag)


def object_of(fact: MoneyFact) -> str:
    """Return the id of the object that the fact is about."""
    match fact:
        case SessionFact():
            return fact.session_id
        case CaptureFact():
            return fact.payment_intent
        case RefundFact():
            return fact.refund_id
        case ChargeFact():
            return fact.charge_id
        case DisputeFact():
            return fact.dispute_id


def charge_of(fact: MoneyFact) -> str | None:
    """Return the charge that the fact names."""
    return None if isinstance(fact, SessionFact) else fact.charge_id
