"""Stripe's events about money as the tests send them, in the newest shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.stripe_events import make_event

PACK = {"tallybook_pack": "P100", "tallybook_quantity": "1"}


def make_session_event(
    event_id: str,
    at: datetime,
    kind: str = "completed",
    *,
    session: str = "cs_1",
    intent: str | None = "pi_1",
    customer: str | None = "cus_1",
    amount: int = 1_000,
    metadata: Mapping[str, str] = PACK,
    status: str = "paid",
    mode: str = "payment",
    reference: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """``kind`` is completed, async_payment_succeeded, async_payment_failed or expired."""
    thing = {
        "id": session,
        "object": "checkout.session",
        "mode": mode,
        "payment_status": status,
        "payment_intent": intent,
        "customer": customer,
        "client_reference_id": reference,
        "subscription": None,
        "amount_total": amount,
        "currency": "eur",
        "livemode": False,
        "metadata": dict(metadata),
        "status": "complete",
        **more,
    }
    return make_event(event_id, f"checkout.session.{kind}", at, thing)


def make_refund(
    refund: str,
    at: datetime,
    amount: int,
    *,
    status: str = "succeeded",
    intent: str | None = "pi_1",
    charge: str | None = "ch_1",
) -> dict[str, Any]:
    """The object alone, as an old charge carries it."""
    return {
        "id": refund,
        "object": "refund",
        "amount": amount,
        "currency": "eur",
        "status": status,
        "created": int(at.timestamp()),
        "payment_intent": intent,
        "charge": charge,
        "reason": None,
        "metadata": {},
    }


def make_refund_event(
    event_id: str,
    at: datetime,
    amount: int,
    kind: str = "refund.created",
    *,
    refund: str = "re_1",
    made_at: datetime | None = None,
    **more: Any,
) -> dict[str, Any]:
    """``kind`` is refund.created, .updated, .failed or charge.refund.updated."""
    return make_event(event_id, kind, at, make_refund(refund, made_at or at, amount, **more))


def make_charge_event(
    event_id: str,
    at: datetime,
    amount_refunded: int,
    *,
    charge: str = "ch_1",
    intent: str | None = "pi_1",
    amount: int = 1_000,
    refunds: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """charge.refunded; ``refunds`` are carried until 2022-11-15."""
    thing: dict[str, Any] = {
        "id": charge,
        "object": "charge",
        "amount": amount,
        "amount_refunded": amount_refunded,
        "currency": "eur",
        "payment_intent": intent,
        "refunded": amount == amount_refunded,
        "metadata": {},
    }
    if refunds is not None:
        thing["refunds"] = {"object": "list", "has_more": False, "data": list(refunds)}
    return make_event(event_id, "charge.refunded", at, thing)


def make_dispute_event(
    event_id: str,
    at: datetime,
    status: str,
    kind: str = "created",
    *,
    dispute: str = "du_1",
    amount: int = 1_000,
    intent: str | None = "pi_1",
    charge: str = "ch_1",
) -> dict[str, Any]:
    """``kind`` is created, updated, closed, funds_withdrawn or funds_reinstated."""
    thing = {
        "id": dispute,
        "object": "dispute",
        "amount": amount,
        "currency": "eur",
        "charge": charge,
        "payment_intent": intent,
        "status": status,
        "reason": "fraudulent",
        "metadata": {},
    }
    return make_event(event_id, f"charge.dispute.{kind}", at, thing)
