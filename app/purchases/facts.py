"""What one Stripe event says about one payment, free of API versions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

MONEY_MAX: Final = 10**12  # in a currency's smallest unit; Stripe's own limit is 12 digits


class RefundStatus(StrEnum):
    """Stripe's, in the order in which a refund takes them: a later one is never left again."""

    REQUIRES_ACTION = "requires_action"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    """Stripe's, and in the order that decides between two of one second."""

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

    ``paid`` is whether its payment is through, or none is needed; ``amount`` what was to be paid,
    in the currency's smallest unit. ``prices`` are (price id, quantity) of its line items, None
    if the event carries none, or none that can be read, as ``unread`` says; ``quantity`` is how
    many of ``pack`` the server wrote.
    ``account_hint`` is the application's id in its metadata, ``hint_refused`` says that what stands
    there is none. ``by_payment_link`` tells of a session that a payment link made: anybody who
    opened the link may have written what it names. ``made_at`` is when Stripe made the
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
    """The money of a payment intent is taken: what a session with manual capture waits for."""

    event_id: str
    occurred_at: datetime
    payment_intent: str
    charge_id: str | None
    amount: int
    currency: str | None = None


class RefundFact(msgspec.Struct, frozen=True, kw_only=True, tag="refund"):
    """A refund; ``made_at`` is when it was asked for.

    ``names_no_intent`` means that Stripe says that there is none: the charge alone tells.
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
    """What a charge says was refunded of it until then."""

    event_id: str
    occurred_at: datetime
    charge_id: str
    payment_intent: str | None
    amount_refunded: int
    currency: str | None


class DisputeFact(msgspec.Struct, frozen=True, kw_only=True, tag="dispute"):
    """A dispute; old shapes tell only its charge. ``names_no_intent`` as a refund's."""

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
    """The kind under which it is stored."""
    return str(fact.__struct_config__.tag)


def object_of(fact: MoneyFact) -> str:
    """The id of the object that it tells of."""
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
    """The charge that it names."""
    return None if isinstance(fact, SessionFact) else fact.charge_id
