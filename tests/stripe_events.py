"""Stripe's events as the tests send them, in the newest shape."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def make_subscription_event(
    event_id: str,
    kind: str,
    at: datetime,
    *,
    status: str = "active",
    price: str = "price_pro_monthly",
    subscription: str = "sub_1",
    customer: str = "cus_1",
    previous: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """``kind`` is created, updated or deleted."""
    end = int(at.timestamp()) + 30 * 86_400
    item = {
        "id": "si_1",
        "object": "subscription_item",
        "quantity": 1,
        "current_period_end": end,
        "price": {
            "id": price,
            "object": "price",
            "recurring": {"interval": "month", "interval_count": 1},
        },
    }
    data: dict[str, Any] = {
        "object": {
            "id": subscription,
            "object": "subscription",
            "customer": customer,
            "status": status,
            "metadata": {},
            "cancel_at_period_end": False,
            "items": {"object": "list", "data": [item], "has_more": False},
            **more,
        }
    }
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": event_id,
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": int(at.timestamp()),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": f"customer.subscription.{kind}",
        "data": data,
    }


def make_invoice_event(
    event_id: str,
    kind: str,
    at: datetime,
    *,
    subscription: str = "sub_1",
    customer: str = "cus_1",
    billing_reason: str = "subscription_cycle",
    invoice: str | None = None,
    made_at: datetime | None = None,
) -> dict[str, Any]:
    """``kind`` is paid, payment_succeeded or payment_failed; each has an invoice of its own."""
    thing = {
        "id": invoice or f"in_{event_id}",
        "object": "invoice",
        "customer": customer,
        "created": int((made_at or at).timestamp()),
        "billing_reason": billing_reason,
        "amount_paid": 2_000,
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": subscription, "metadata": {}},
        },
    }
    return make_event(event_id, f"invoice.{kind}", at, thing)


def make_event(
    event_id: str, kind: str, at: datetime, thing: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Any event about any object."""
    return {
        "id": event_id,
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": int(at.timestamp()),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": thing},
        **more,
    }


def make_customer_event(
    event_id: str, kind: str, at: datetime, *, customer: str = "cus_1", **metadata: Any
) -> dict[str, Any]:
    """``kind`` is created, updated or deleted."""
    thing = {"id": customer, "object": "customer", "email": "a@b.example", "metadata": metadata}
    if kind == "deleted":
        thing = {**thing, "deleted": True}
    return make_event(event_id, f"customer.{kind}", at, thing)
