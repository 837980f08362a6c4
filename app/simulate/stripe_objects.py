"""Stripe's objects as JSON, in the shapes of one API version; pure.

`stripe_objects.json` holds the fields that are alike in every object of a kind.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

JsonObject = dict[str, object]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """An API version, and what differs by it."""

    version: str
    # Since 2025-03-31.basil an item has the period, and an invoice a `parent`.
    item_periods: bool = True
    # The billing mode: under the flexible one a scheduled end is `cancel_at` alone.
    flexible: bool = False


DEFAULT: Final = Shape(version="2026-08-26.dahlia")
ENDIVE: Final = Shape(version="2026-09-30.endive", flexible=True)
BEFORE_BASIL: Final = Shape(version="2024-06-20", item_periods=False)
SHAPES: Final = MappingProxyType(
    {shape.version: shape for shape in (BEFORE_BASIL, DEFAULT, ENDIVE)}
)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A price; ``id`` is what the catalogue knows."""

    id: str
    product: str
    name: str
    cents: int
    interval: str = "month"


PRO_MONTHLY: Final = Price(id="price_pro_monthly", product="prod_pro", name="Pro", cents=20_00)
ENTERPRISE_MONTHLY: Final = Price(
    id="price_enterprise_monthly", product="prod_enterprise", name="Enterprise", cents=50_00
)


class Ids(msgspec.Struct):
    """``evt_demo1_ada_003``: the same prefix and the same calls make the same ids."""

    prefix: str
    drawn: dict[str, int] = {}

    def draw(self, kind: str) -> str:
        """Return the next id of this kind; zeros keep ids in the order they were drawn."""
        self.drawn[kind] = self.drawn.get(kind, 0) + 1
        return f"{kind}_{self.prefix}_{self.drawn[kind]:03}"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One price of a subscription."""

    id: str
    price: Price
    quantity: int = 1


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The time that one invoice pays for."""

    starts_at: datetime
    ends_at: datetime


class Invoice(msgspec.Struct, kw_only=True):
    """A subscription's bill; ``reason`` is Stripe's billing_reason."""

    id: str
    reason: str
    price: Price
    cents: int
    created_at: datetime
    period: Period
    attempt_count: int = 0
    status: str = "draft"


def unix(at: datetime) -> int:
    """Return the instant as Stripe writes it, in whole seconds."""
    return int(at.timestamp())


_ALIKE: Final = msgspec.json.decode(
    Path(__file__).with_suffix(".json").read_bytes(), type=dict[str, JsonObject]
)


def thing(kind: str, thing_id: str, at: datetime, **fields: object) -> JsonObject:
    """Return an object of this kind: the fields that are always alike, and these."""
    head = {"id": thing_id, "object": kind, "created": unix(at), "livemode": False, "metadata": {}}
    return {**head, **_ALIKE[kind], **fields}


def listed(url: str, data: list[JsonObject], *, has_more: bool = False) -> JsonObject:
    """Return a list as it stands inside an object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def event(
    event_id: str, kind: str, at: datetime, data: JsonObject, shape: Shape = DEFAULT
) -> JsonObject:
    """Return an event; ``request.id`` is null, as in all that Stripe does by itself."""
    return {
        "id": event_id,
        "object": "event",
        "api_version": shape.version,
        "created": unix(at),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def customer(
    customer_id: str, name: str, at: datetime, metadata: JsonObject | None = None
) -> JsonObject:
    """Return a customer."""
    person = {"email": f"{name}@example.com", "name": name.capitalize()}
    return thing("customer", customer_id, at, metadata=metadata or {}, **person)


def price_object(price: Price, at: datetime, *, once: bool = False) -> JsonObject:
    """Return a price, recurring unless it is paid ``once``."""
    recurring = {"interval": price.interval, "interval_count": 1, "usage_type": "licensed"}
    return thing(
        "price",
        price.id,
        at,
        product=price.product,
        recurring=None if once else {**recurring, "meter": None},
        type="one_time" if once else "recurring",
        unit_amount=price.cents,
        unit_amount_decimal=str(price.cents),
    )


def item_object(subscription_id: str, item: Item, period: Period, shape: Shape) -> JsonObject:
    """Return a subscription's item."""
    return thing(
        "subscription_item",
        item.id,
        period.starts_at,
        price=price_object(item.price, period.starts_at),
        quantity=item.quantity,
        subscription=subscription_id,
        **(period_fields(period) if shape.item_periods else {}),
    )


def period_fields(period: Period) -> JsonObject:
    """Return the two fields that tell a period, on an item or on the subscription."""
    return {
        "current_period_end": unix(period.ends_at),
        "current_period_start": unix(period.starts_at),
    }


def invoice_object(
    invoice: Invoice, subscription_id: str, customer_id: str, shape: Shape
) -> JsonObject:
    """Return an invoice of a subscription."""
    paid = invoice.status == "paid"
    details = {"metadata": {}, "subscription": subscription_id}
    parent = {"subscription_details": details, "type": "subscription_details"}
    return thing(
        "invoice",
        invoice.id,
        invoice.created_at,
        amount_due=invoice.cents,
        amount_paid=invoice.cents if paid else 0,
        amount_remaining=0 if paid else invoice.cents,
        attempt_count=invoice.attempt_count,
        attempted=invoice.attempt_count > 0,
        auto_advance=not paid,
        billing_reason=invoice.reason,
        customer=customer_id,
        lines=listed(f"/v1/invoices/{invoice.id}/lines", [_line(invoice, subscription_id)]),
        period_end=unix(invoice.period.starts_at),
        period_start=unix(invoice.period.starts_at),
        status=invoice.status,
        subtotal=invoice.cents,
        total=invoice.cents,
        **({"parent": parent} if shape.item_periods else {"subscription": subscription_id}),
    )


def _line(invoice: Invoice, subscription_id: str) -> JsonObject:
    price, period = invoice.price, invoice.period
    proration = invoice.reason == "subscription_update"
    details = {"proration": proration, "subscription": subscription_id}
    sold = {"price": price.id, "product": price.product}
    return thing(
        "line_item",
        invoice.id.replace("in_", "il_", 1),
        invoice.created_at,
        amount=invoice.cents,
        description=f"1 x {price.name} (per {price.interval})",
        parent={"subscription_item_details": details, "type": "subscription_item_details"},
        period={"end": unix(period.ends_at), "start": unix(period.starts_at)},
        pricing={"price_details": sold, "type": "price_details"},
        subtotal=invoice.cents,
    )


def charge(
    charge_id: str,
    at: datetime,
    *,
    cents: int,
    customer_id: str | None,
    paid: bool,
    captured: bool = True,
    **fields: object,
) -> JsonObject:
    """Return one attempt to take money."""
    network_status = "approved_by_network" if paid else "declined_by_network"
    return thing(
        "charge",
        charge_id,
        at,
        amount=cents,
        amount_captured=cents if paid and captured else 0,
        captured=paid and captured,
        customer=customer_id,
        failure_code=None if paid else "card_declined",
        failure_message=None if paid else "Your card has insufficient funds.",
        outcome={"network_status": network_status, "risk_level": "normal"},
        paid=paid,
        status="succeeded" if paid else "failed",
        **fields,
    )


def checkout_session(
    session_id: str, at: datetime, *, mode: str, cents: int, paid: bool, **fields: object
) -> JsonObject:
    """Return a Checkout session that its buyer has completed."""
    return thing(
        "checkout.session",
        session_id,
        at,
        amount_subtotal=cents,
        amount_total=cents,
        expires_at=unix(at) + 86_400,
        mode=mode,
        payment_status="paid" if paid else "unpaid",
        **fields,
    )
