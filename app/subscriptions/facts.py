"""What one Stripe event says about one subscription, free of API versions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class FactKind(StrEnum):
    """The first three are snapshots and outrank the invoice kinds; the last ends it for good."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    CUSTOMER_DELETED = "customer_deleted"


SNAPSHOT_KINDS = frozenset({FactKind.CREATED, FactKind.UPDATED, FactKind.DELETED})


class Invoice(msgspec.Struct, frozen=True):
    """Which invoice was paid or failed, and when it was made, where that is told."""

    id: str
    made_at: datetime | None


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One event's claim about one subscription.

    ``occurred_at`` is the event's ``created``, which has one-second grain.
    ``status`` is Stripe's and None for invoice kinds, ``invoice`` None for all others and for what
    was stored before it was kept; ``prices`` are the items' price ids in
    Stripe's order; ``billing_cycle`` reads "month", "year" or "3 month".
    ``account_hint`` is the application's id that we find in the subscription's metadata;
    ``hint_refused`` says that what stands there is none.
    """

    event_id: str
    subscription_id: str
    customer_id: str
    kind: FactKind
    occurred_at: datetime
    status: str | None = None
    prices: tuple[str, ...] = ()
    period_end: datetime | None = None
    billing_cycle: str | None = None
    cancel_at_period_end: bool = False
    account_hint: str | None = None
    hint_refused: str | None = None
    invoice: Invoice | None = None
