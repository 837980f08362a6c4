"""The facts of one Stripe event about one subscription, independent of API versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec


class FactKind(StrEnum):
    """The first three are snapshots and outrank the invoice kinds; the last one is final."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    CUSTOMER_DELETED = "customer_deleted"


SNAPSHOT_KINDS = frozenset({FactKind.CREATED, FactKind.UPDATED, FactKind.DELETED})


class Invoice(msgspec.Struct, frozen=True):
    """The invoice that was paid or failed; when and why it was made, if the event says so."""

    id: str
    made_at: datetime | None
    billing_reason: str | None = None


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One event's claim about one subscription.

    ``occurred_at`` is the event's ``created``, in whole seconds. ``arrived_at`` is the book's time
    of its first arrival; test clocks run ahead of it. ``status`` is Stripe's, and None for invoice
    kinds. ``invoice`` is None for all other kinds, and for facts stored before it was kept.
    ``prices`` are the price ids of the items whose quantity is not 0, in Stripe's order.
    ``billing_cycle`` reads "month", "year" or "3 month". ``latest_invoice`` decides whether the
    subscription is past due.

    ``account_hint`` is the application's id in the subscription's metadata; ``hint_refused`` means
    that the value there is not a valid id.

    ``unread`` maps each field that could not be read to the reason; the earlier value of such a
    field stays. A ``reading`` above 1 is a later reading of the event and replaces the earlier
    ones.
    """

    event_id: str
    subscription_id: str
    customer_id: str
    kind: FactKind
    occurred_at: datetime
    arrived_at: datetime | None = None
    status: str | None = None
    prices: tuple[str, ...] = ()
    period_end: datetime | None = None
    billing_cycle: str | None = None
    cancel_at_period_end: bool = False
    cancel_at: datetime | None = None
    collection_paused: bool = False
    latest_invoice: str | None = None
    pending_update: bool = False
    account_hint: str | None = None
    hint_refused: str | None = None
    invoice: Invoice | None = None
    unread: Mapping[str, str] = msgspec.field(default_factory=dict)
    reading: int = 1
    made_at: datetime | None = None  # when Stripe made the subscription

    def completed(self, before: Fact | None) -> Fact:
        """Return the snapshot with the unread fields filled in from the one before it."""
        if before is None or not self.unread:
            return self
        known = {name: getattr(before, name) for name in self.unread}
        return msgspec.structs.replace(self, **known)
