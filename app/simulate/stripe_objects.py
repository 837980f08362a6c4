"""Stripe's objects as API version 2026-08-26.dahlia shapes them; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

API_VERSION: Final = "2026-08-26.dahlia"

JsonObject = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a subscription costs; ``id`` is what the catalogue knows."""

    id: str
    product: str
    name: str
    cents: int
    interval: str = "month"


PRO_MONTHLY: Final = Price(id="price_pro_monthly", product="prod_pro", name="Pro", cents=20_00)
ENTERPRISE_MONTHLY: Final = Price(
    id="price_enterprise_monthly", product="prod_enterprise", name="Enterprise", cents=50_00
)


class Ids:
    """``evt_demo1_ada_003``: the same prefix and the same calls make the same ids."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._drawn: Counter[str] = Counter()

    def draw(self, kind: str) -> str:
        """The next id of this kind; zeros keep ids in the order they were drawn."""
        self._drawn[kind] += 1
        return f"{kind}_{self.prefix}_{self._drawn[kind]:03}"


@dataclass(frozen=True, kw_only=True)
class Period:
    """What one invoice pays for."""

    starts_at: datetime
    ends_at: datetime


@dataclass(kw_only=True)
class Invoice:
    """One bill; ``reason`` is Stripe's billing_reason."""

    id: str
    reason: str
    price: Price
    cents: int
    created_at: datetime
    period: Period
    attempt_count: int = 0
    status: str = "draft"


def unix(at: datetime) -> int:
    """Stripe's instants: whole seconds."""
    return int(at.timestamp())


def event(
    event_id: str, kind: str, at: datetime, about: JsonObject, previous: JsonObject | None = None
) -> JsonObject:
    """An event; ``request.id`` is null, as in all that Stripe does by itself."""
    data: JsonObject = {"object": about}
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": unix(at),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def customer(customer_id: str, name: str, at: datetime) -> JsonObject:
    """A customer."""
    return {
        "id": customer_id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": unix(at),
        "currency": None,
        "delinquent": False,
        "description": None,
        "email": f"{name}@example.com",
        "invoice_settings": {"default_payment_method": None, "footer": None},
        "livemode": False,
        "metadata": {},
        "name": name.capitalize(),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def price_object(price: Price, at: datetime) -> JsonObject:
    """A recurring price."""
    return {
        "id": price.id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": unix(at),
        "currency": "usd",
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": price.product,
        "recurring": {
            "interval": price.interval,
            "interval_count": 1,
            "meter": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": price.cents,
        "unit_amount_decimal": str(price.cents),
    }


def item(subscription_id: str, item_id: str, price: Price, period: Period) -> JsonObject:
    """A subscription's item; since 2025-03-31.basil the period stands here."""
    return {
        "id": item_id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": unix(period.starts_at),
        "current_period_end": unix(period.ends_at),
        "current_period_start": unix(period.starts_at),
        "discounts": [],
        "metadata": {},
        "price": price_object(price, period.starts_at),
        "quantity": 1,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def invoice_object(
    invoice: Invoice, subscription_id: str, customer_id: str, *, paid: bool = False
) -> JsonObject:
    """An invoice; since 2025-03-31.basil its subscription is named by ``parent``."""
    return {
        "id": invoice.id,
        "object": "invoice",
        "amount_due": invoice.cents,
        "amount_paid": invoice.cents if paid else 0,
        "amount_remaining": 0 if paid else invoice.cents,
        "attempt_count": invoice.attempt_count,
        "attempted": invoice.attempt_count > 0,
        "auto_advance": not paid,
        "billing_reason": invoice.reason,
        "collection_method": "charge_automatically",
        "created": unix(invoice.created_at),
        "currency": "usd",
        "customer": customer_id,
        "lines": {
            "object": "list",
            "data": [_line(invoice, subscription_id)],
            "has_more": False,
            "url": f"/v1/invoices/{invoice.id}/lines",
        },
        "livemode": False,
        "metadata": {},
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": {}, "subscription": subscription_id},
            "type": "subscription_details",
        },
        "period_end": unix(invoice.period.starts_at),
        "period_start": unix(invoice.period.starts_at),
        "status": invoice.status,
        "subtotal": invoice.cents,
        "total": invoice.cents,
    }


def _line(invoice: Invoice, subscription_id: str) -> JsonObject:
    details = {"proration": invoice.reason == "subscription_update"}
    return {
        "id": invoice.id.replace("in_", "il_", 1),
        "object": "line_item",
        "amount": invoice.cents,
        "currency": "usd",
        "description": f"1 x {invoice.price.name} (per {invoice.price.interval})",
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {**details, "subscription": subscription_id},
            "type": "subscription_item_details",
        },
        "period": {"end": unix(invoice.period.ends_at), "start": unix(invoice.period.starts_at)},
        "pricing": {
            "price_details": {"price": invoice.price.id, "product": invoice.price.product},
            "type": "price_details",
            "unit_amount_decimal": str(invoice.price.cents),
        },
        "quantity": 1,
        "subtotal": invoice.cents,
        "taxes": [],
    }


def charge(
    charge_id: str, invoice: Invoice, customer_id: str, at: datetime, *, paid: bool
) -> JsonObject:
    """One try to take the money."""
    outcome = "approved_by_network" if paid else "declined_by_network"
    return {
        "id": charge_id,
        "object": "charge",
        "amount": invoice.cents,
        "amount_captured": invoice.cents if paid else 0,
        "amount_refunded": 0,
        "captured": paid,
        "created": unix(at),
        "currency": "usd",
        "customer": customer_id,
        "disputed": False,
        "failure_code": None if paid else "card_declined",
        "failure_message": None if paid else "Your card has insufficient funds.",
        "livemode": False,
        "metadata": {},
        "outcome": {"network_status": outcome, "risk_level": "normal"},
        "paid": paid,
        "refunded": False,
        "status": "succeeded" if paid else "failed",
    }
