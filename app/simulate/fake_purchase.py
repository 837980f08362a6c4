"""One credit pack on Stripe's side: bought by Checkout, refunded, disputed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from app.simulate import stripe_objects
from app.simulate.stripe_objects import DEFAULT, Ids, JsonObject, Price, Shape, listed, thing

PACK_KEY: Final = "tallybook_pack"  # the metadata that Tallybook's own Checkout sessions carry


class FakePurchase(msgspec.Struct, kw_only=True):
    """Each method changes it and returns the events, in the order in which Stripe makes them.

    ``shows_items`` has the session tell its line items, which Stripe does if it is asked.
    """

    prefix: str
    name: str
    price: Price
    paid_at: datetime
    customer_id: str | None
    metadata: JsonObject = {}
    quantity: int = 1
    shows_items: bool = False
    fields: JsonObject = {}
    shape: Shape = DEFAULT
    ids: Ids = msgspec.field(default_factory=lambda: Ids(""))
    intent_id: str = ""
    charge_id: str = ""
    session_id: str = ""
    dispute_id: str = ""
    disputed_at: datetime | None = None
    refunded_cents: int = 0
    captured: bool = True

    def __post_init__(self) -> None:
        if self.intent_id:
            return  # it was stored, and is read again
        self.ids = Ids(f"{self.prefix}_{self.name}")
        self.intent_id = self.ids.draw("pi")
        self.charge_id = self.ids.draw("ch")
        self.session_id = self.session_id or self.ids.draw("cs_test")
        self.dispute_id = self.ids.draw("du")

    @property
    def cents(self) -> int:
        """The sum that was paid."""
        return self.price.cents * self.quantity

    def pay(self) -> list[JsonObject]:
        """Complete the session and pay it at once."""
        at = self.paid_at
        return [
            self._event("charge.succeeded", at, self.charge()),
            self._event("payment_intent.succeeded", at, self._intent()),
            self._event("checkout.session.completed", at, self.session()),
        ]

    def authorize(self) -> list[JsonObject]:
        """Complete the session with a payment that waits for its capture."""
        self.captured = False
        at = self.paid_at
        return [
            self._event("charge.succeeded", at, self.charge()),
            self._event("checkout.session.completed", at, self.session()),
        ]

    def capture(self, at: datetime) -> list[JsonObject]:
        """Take the money that was authorized; Stripe tells nothing of the session any more."""
        self.captured = True
        intent = self._intent() | {"capture_method": "manual"}
        return [
            self._event("charge.captured", at, self.charge()),
            self._event("payment_intent.succeeded", at, intent),
        ]

    def refund(self, at: datetime, cents: int) -> list[JsonObject]:
        """Give some of the money back; the charge tells how much altogether."""
        self.refunded_cents += cents
        links = {"charge": self.charge_id, "payment_intent": self.intent_id}
        refund = thing("refund", self.ids.draw("re"), at, amount=cents, **links)
        return [
            self._event("refund.created", at, refund),
            self._event("charge.refunded", at, self.charge()),
        ]

    def dispute(self, at: datetime) -> list[JsonObject]:
        """Have the bank take all of the money back, at once."""
        self.disputed_at = at
        return self._disputed(at, "needs_response", "created", "funds_withdrawn")

    def win(self, at: datetime) -> list[JsonObject]:
        """Have the bank give it back."""
        return self._disputed(at, "won", "closed", "funds_reinstated")

    def lose(self, at: datetime) -> list[JsonObject]:
        """Have the bank keep it."""
        return self._disputed(at, "lost", "closed")

    def session(self) -> JsonObject:
        """Return the Checkout session."""
        item = {
            "id": f"li_{self.session_id}",
            "object": "item",
            "price": stripe_objects.price_object(self.price, self.paid_at, once=True),
            "quantity": self.quantity,
        }
        url = f"/v1/checkout/sessions/{self.session_id}/line_items"
        shown = {"line_items": listed(url, [item])} if self.shows_items else {}
        return stripe_objects.checkout_session(
            self.session_id,
            self.paid_at,
            mode="payment",
            cents=self.cents,
            paid=self.captured,
            **{
                "customer": self.customer_id,
                "metadata": self.metadata,
                "payment_intent": self.intent_id,
                **self.fields,
                **shown,
            },
        )

    def charge(self) -> JsonObject:
        """Return the charge as it stands."""
        return stripe_objects.charge(
            self.charge_id,
            self.paid_at,
            cents=self.cents,
            customer_id=self.customer_id,
            paid=True,
            captured=self.captured,
            amount_refunded=self.refunded_cents,
            disputed=self.disputed_at is not None,
            metadata=self.metadata,
            payment_intent=self.intent_id,
            refunded=self.refunded_cents >= self.cents,
        )

    def _intent(self) -> JsonObject:
        return thing(
            "payment_intent",
            self.intent_id,
            self.paid_at,
            amount=self.cents,
            amount_received=self.cents,
            customer=self.customer_id,
            latest_charge=self.charge_id,
            metadata=self.metadata,
        )

    def _disputed(self, at: datetime, status: str, *kinds: str) -> list[JsonObject]:
        assert self.disputed_at is not None, "a dispute is opened first"
        dispute = thing(
            "dispute",
            self.dispute_id,
            self.disputed_at,
            amount=self.cents,
            charge=self.charge_id,
            payment_intent=self.intent_id,
            status=status,
        )
        return [self._event(f"charge.dispute.{kind}", at, dispute) for kind in kinds]

    def _event(self, kind: str, at: datetime, about: JsonObject) -> JsonObject:
        return stripe_objects.event(self.ids.draw("evt"), kind, at, {"object": about}, self.shape)
