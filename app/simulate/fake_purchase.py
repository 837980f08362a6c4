"""One credit pack on Stripe's side: bought by Checkout, refunded, disputed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from app.simulate import stripe_objects
from app.simulate.stripe_objects import Ids, JsonObject, Price, unix

PACK_KEY: Final = "tallybook_pack"  # the metadata that Tallybook's own Checkout sessions carry


class FakePurchase:
    """Each method moves it on and returns the events, in the order in which Stripe makes them."""

    def __init__(
        self, prefix: str, name: str, price: Price, pack: str, customer_id: str, at: datetime
    ) -> None:
        self._paid_at = self._disputed_at = at
        self._ids = Ids(f"{prefix}_{name}")
        self._price = price
        self._metadata: JsonObject = {PACK_KEY: pack}
        self.customer_id = customer_id
        self.intent_id = self._ids.draw("pi")
        self.charge_id = self._ids.draw("ch")
        self._session_id = self._ids.draw("cs_test")
        self._dispute_id = self._ids.draw("du")
        self._refunded_cents = 0
        self._disputed = False

    @property
    def cents(self) -> int:
        """What was paid."""
        return self._price.cents

    def pay(self) -> list[JsonObject]:
        """The session is completed, and paid at once."""
        at = self._paid_at
        return [
            self._event("charge.succeeded", at, self._charge()),
            self._event("payment_intent.succeeded", at, self._intent()),
            self._event("checkout.session.completed", at, self._session()),
        ]

    def refund(self, at: datetime, cents: int) -> list[JsonObject]:
        """Some of the money goes back; the charge tells how much altogether."""
        self._refunded_cents += cents
        refund = self._refund(at, self._ids.draw("re"), cents)
        return [
            self._event("refund.created", at, refund),
            self._event("charge.refunded", at, self._charge()),
        ]

    def dispute(self, at: datetime) -> list[JsonObject]:
        """The bank takes all of the money back, at once."""
        self._disputed = True
        self._disputed_at = at
        return [
            self._event("charge.dispute.created", at, self._dispute("needs_response")),
            self._event("charge.dispute.funds_withdrawn", at, self._dispute("needs_response")),
        ]

    def win(self, at: datetime) -> list[JsonObject]:
        """The bank gives it back."""
        return [
            self._event("charge.dispute.closed", at, self._dispute("won")),
            self._event("charge.dispute.funds_reinstated", at, self._dispute("won")),
        ]

    def lose(self, at: datetime) -> list[JsonObject]:
        """The bank keeps it."""
        return [self._event("charge.dispute.closed", at, self._dispute("lost"))]

    def _event(self, kind: str, at: datetime, about: JsonObject) -> JsonObject:
        return stripe_objects.event(self._ids.draw("evt"), kind, at, about)

    def _session(self) -> JsonObject:
        return {
            "id": self._session_id,
            "object": "checkout.session",
            "amount_subtotal": self.cents,
            "amount_total": self.cents,
            "client_reference_id": None,
            "created": unix(self._paid_at) - 60,
            "currency": "usd",
            "customer": self.customer_id,
            "expires_at": unix(self._paid_at) + 86_340,
            "invoice": None,
            "livemode": False,
            "metadata": self._metadata,
            "mode": "payment",
            "payment_intent": self.intent_id,
            "payment_method_types": ["card"],
            "payment_status": "paid",
            "status": "complete",
            "subscription": None,
            "success_url": "https://example.com/thanks",
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted_page",
            "url": None,
        }

    def _intent(self) -> JsonObject:
        return {
            "id": self.intent_id,
            "object": "payment_intent",
            "amount": self.cents,
            "amount_received": self.cents,
            "capture_method": "automatic_async",
            "created": unix(self._paid_at),
            "currency": "usd",
            "customer": self.customer_id,
            "latest_charge": self.charge_id,
            "livemode": False,
            "metadata": self._metadata,
            "payment_method_types": ["card"],
            "status": "succeeded",
        }

    def _charge(self) -> JsonObject:
        return {
            "id": self.charge_id,
            "object": "charge",
            "amount": self.cents,
            "amount_captured": self.cents,
            "amount_refunded": self._refunded_cents,
            "captured": True,
            "created": unix(self._paid_at),
            "currency": "usd",
            "customer": self.customer_id,
            "disputed": self._disputed,
            "livemode": False,
            "metadata": self._metadata,
            "paid": True,
            "payment_intent": self.intent_id,
            "refunded": self._refunded_cents >= self.cents,
            "status": "succeeded",
        }

    def _refund(self, at: datetime, refund_id: str, cents: int) -> JsonObject:
        return {
            "id": refund_id,
            "object": "refund",
            "amount": cents,
            "charge": self.charge_id,
            "created": unix(at),
            "currency": "usd",
            "destination_details": {"card": {"type": "refund"}, "type": "card"},
            "metadata": {},
            "payment_intent": self.intent_id,
            "reason": "requested_by_customer",
            "receipt_number": None,
            "status": "succeeded",
        }

    def _dispute(self, status: str) -> JsonObject:
        return {
            "id": self._dispute_id,
            "object": "dispute",
            "amount": self.cents,
            "charge": self.charge_id,
            "created": unix(self._disputed_at),
            "currency": "usd",
            "evidence_details": {"due_by": None, "has_evidence": False, "submission_count": 0},
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": self.intent_id,
            "reason": "product_not_received",
            "status": status,
        }
