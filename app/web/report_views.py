"""What the reports and the life cycle's lists answer: frozen structs, never tables."""

from __future__ import annotations

from typing import Any

import msgspec

from app.web import views
from app.web.instants import Instant
from app.web.views import View


class TrialBalanceLine(View, frozen=True, kw_only=True):
    """A side of all accounts (free, held, debt) or a house account; balance = credits - debits."""

    account: str
    debits: int
    credits: int
    balance: int


class TrialBalanceAnswer(View, frozen=True, kw_only=True):
    """Debits and credits as the ledger stood at ``as_of``; their totals are equal."""

    as_of: Instant
    complete_to: Instant
    accounts: list[TrialBalanceLine]
    debits: int
    credits: int


class RollForwardAnswer(View, frozen=True, kw_only=True):
    """opening + granted + purchased - spent - refunded - expired + adjusted + transferred
    + reversed = closing.

    Spent (captures included), refunded (net of what came back) and expired are what left; adjusted,
    transferred and reversed are signed.
    """

    from_: Instant = msgspec.field(name="from")
    to: Instant
    complete_to: Instant
    opening: int
    granted: int
    purchased: int
    spent: int
    refunded: int
    expired: int
    adjusted: int
    transferred: int
    reversed: int
    closing: int


class ExplainedEntry(View, frozen=True, kw_only=True):
    """One entry behind a lot; ``change`` is what it did to the balance."""

    entry_id: str
    journal_id: str
    kind: str
    journal_kind: str
    debit: str
    credit: str
    amount: int
    change: int
    hold_id: str | None
    event_id: str | None
    reason: str | None
    effective_at: Instant
    recorded_at: Instant


class ExplainedLotAnswer(View, frozen=True, kw_only=True):
    """A lot with something left, its entries newest first; ``truncated`` leaves out older ones."""

    id: str
    source: str
    free: int
    held: int
    granted_at: Instant
    expires_at: Instant | None
    entries: list[ExplainedEntry]
    truncated: bool


class ExplainAnswer(View, frozen=True, kw_only=True):
    """The balance as posted: free and held are the sums of the lots', debt is told by its own."""

    account_id: str
    balance: int
    free: int
    held: int
    debt: int
    lots: list[ExplainedLotAnswer]
    debt_entries: list[ExplainedEntry]
    debt_truncated: bool


class AuditedSubscription(views.SubscriptionAnswer, frozen=True, kw_only=True):
    """A subscription, whose it is, and the event that spoke last."""

    account_id: str | None
    last_event_id: str | None
    last_event_at: Instant | None


class SubscriptionList(View, frozen=True, kw_only=True):
    """A page of subscriptions, by id."""

    data: list[AuditedSubscription]
    next_cursor: str | None


class TransitionAnswer(View, frozen=True, kw_only=True):
    """A stored step of the state machine; ``from_state`` is null at its begin."""

    id: str
    subscription_id: str
    from_state: str | None
    to_state: str
    trigger: str
    event_id: str
    effective_at: Instant
    recorded_at: Instant


class TransitionList(View, frozen=True, kw_only=True):
    """A page of a subscription's transitions, oldest first."""

    data: list[TransitionAnswer]
    next_cursor: str | None


class EventAnswer(View, frozen=True, kw_only=True):
    """An event as received, and what became of it."""

    id: str
    type: str
    api_version: str | None
    livemode: bool
    created_at: Instant
    received_at: Instant
    verdict: str
    reason: str
    error: str | None
    delivery_count: int
    attempt_count: int
    next_attempt_at: Instant | None
    subscription_id: str | None
    stripe_customer_id: str | None


class DeliveryAnswer(View, frozen=True, kw_only=True):
    """What was ruled at one delivery of an event, or at one later try of its effects."""

    received_at: Instant
    verdict: str
    reason: str


class EventDetail(EventAnswer, frozen=True, kw_only=True):
    """An event with what Stripe sent, and the newest 1,000 rulings on it, oldest first."""

    payload: dict[str, Any]
    deliveries: list[DeliveryAnswer]


class EventList(View, frozen=True, kw_only=True):
    """A page of the inbox, by (received_at, id)."""

    data: list[EventAnswer]
    next_cursor: str | None
