"""One subscription on Stripe's side: what happens to it, and the events that Stripe then sends."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime
from itertools import count

from app.simulate import stripe_objects
from app.simulate.stripe_objects import Ids, Invoice, JsonObject, Period, Price, unix


class FakeSubscription:
    """Each method moves it on and returns the events, in the order in which Stripe makes them."""

    def __init__(self, prefix: str, name: str, price: Price, began_at: datetime) -> None:
        self._ids = Ids(f"{prefix}_{name}")
        self.name = name
        self.id = f"sub_{prefix}_{name}"
        self.customer_id = f"cus_{prefix}_{name}"
        self.price = price
        self.status = "incomplete"
        self.began_at = began_at
        self.period = self._period_from(began_at)
        self._item_id = self._ids.draw("si")
        self._metadata: JsonObject = {}
        self._cancel_at_period_end = False
        self._canceled_at: datetime | None = None
        self._ended_at: datetime | None = None
        self._cancel_reason: str | None = None
        self._invoice = self._bill("subscription_create", price.cents, began_at)

    def subscribe(self) -> list[JsonObject]:
        """Sign up and pay: incomplete at first, active within the same second."""
        at = self.began_at
        buyer = stripe_objects.customer(self.customer_id, self.name, at)
        events = [
            self._event("customer.created", at, buyer),
            self._event("customer.subscription.created", at, self._snapshot()),
            self._event("invoice.created", at, self._invoice_object()),
            *self._paid(at),
        ]
        self.status = "active"
        return [*events, self._updated(at, {"status": "incomplete"})]

    def be_known(self) -> None:
        """It began, and was paid, where nobody listened: no event tells."""
        self.status = "active"
        self._invoice.status = "paid"

    def renew(self) -> list[JsonObject]:
        """The next period begins, with a draft invoice. Stripe tries the card an hour later."""
        at = self.period.ends_at
        before: JsonObject = {"items": {"data": [self._item()]}, "latest_invoice": self._invoice.id}
        self.period = self._period_from(at)
        self._invoice = self._bill("subscription_cycle", self.price.cents, at)
        return [
            self._updated(at, before),
            self._event("invoice.created", at, self._invoice_object()),
        ]

    def pay(self, at: datetime) -> list[JsonObject]:
        """The open invoice is paid; past_due recovers."""
        events = self._paid(at)
        if self.status == "past_due":
            self.status = "active"
            events.append(self._updated(at, {"status": "past_due"}))
        return events

    def fail_payment(self, at: datetime) -> list[JsonObject]:
        """The card is declined; only the first failure changes the subscription."""
        self._invoice.status = "open"
        self._invoice.attempt_count += 1
        events = [
            self._event("charge.failed", at, self._charge(at, paid=False)),
            self._event("invoice.payment_failed", at, self._invoice_object()),
        ]
        if self.status == "active":
            self.status = "past_due"
            events.append(self._updated(at, {"status": "active"}))
        return events

    def change_price(self, at: datetime, price: Price) -> list[JsonObject]:
        """Another price at once, the difference billed and paid."""
        before: JsonObject = {"items": {"data": [self._item()]}, "latest_invoice": self._invoice.id}
        difference = max(0, price.cents - self.price.cents)
        self.price = price
        self._invoice = self._bill("subscription_update", difference, at)
        billed = self._event("invoice.created", at, self._invoice_object())
        return [billed, self._updated(at, before), *self._paid(at)]

    def set_metadata(self, at: datetime, key: str, value: str) -> list[JsonObject]:
        """Somebody writes a note on it; nothing else changes."""
        before: JsonObject = {"metadata": {key: self._metadata.get(key)}}
        self._metadata = {**self._metadata, key: value}
        return [self._updated(at, before)]

    def cancel_at_period_end(self, at: datetime) -> list[JsonObject]:
        """It is to end with the period; until then it stays active."""
        before: JsonObject = {
            "cancel_at": None,
            "cancel_at_period_end": False,
            "canceled_at": None,
            "cancellation_details": {"reason": None},
        }
        self._cancel_at_period_end = True
        self._canceled_at = at
        self._cancel_reason = "cancellation_requested"
        return [self._updated(at, before)]

    def delete(self, at: datetime) -> list[JsonObject]:
        """It ends, for ever: after the period, or after the last failed payment."""
        self.status = "canceled"
        self._canceled_at = self._canceled_at or at
        self._ended_at = at
        self._cancel_reason = self._cancel_reason or "payment_failed"
        return [self._event("customer.subscription.deleted", at, self._snapshot())]

    def _event(
        self, kind: str, at: datetime, about: JsonObject, previous: JsonObject | None = None
    ) -> JsonObject:
        return stripe_objects.event(self._ids.draw("evt"), kind, at, about, previous)

    def _updated(self, at: datetime, previous: JsonObject) -> JsonObject:
        return self._event("customer.subscription.updated", at, self._snapshot(), previous)

    def _paid(self, at: datetime) -> list[JsonObject]:
        """Three of the events that Stripe sends for one payment."""
        self._invoice.status = "paid"
        self._invoice.attempt_count += 1
        return [
            self._event("charge.succeeded", at, self._charge(at, paid=True)),
            self._event("invoice.paid", at, self._invoice_object()),
            self._event("invoice.payment_succeeded", at, self._invoice_object()),
        ]

    def _charge(self, at: datetime, *, paid: bool) -> JsonObject:
        charge_id = self._ids.draw("ch")
        return stripe_objects.charge(charge_id, self._invoice, self.customer_id, at, paid=paid)

    def _invoice_object(self) -> JsonObject:
        paid = self._invoice.status == "paid"
        return stripe_objects.invoice_object(self._invoice, self.id, self.customer_id, paid=paid)

    def _bill(self, reason: str, cents: int, at: datetime) -> Invoice:
        return Invoice(
            id=self._ids.draw("in"),
            reason=reason,
            price=self.price,
            cents=cents,
            created_at=at,
            period=self.period,
        )

    def _period_from(self, at: datetime) -> Period:
        """The month from this instant on, in step with the day on which all began."""
        ends = (months_after(self.began_at, n) for n in count(1))
        return Period(starts_at=at, ends_at=next(end for end in ends if end > at))

    def _item(self) -> JsonObject:
        return stripe_objects.item(self.id, self._item_id, self.price, self.period)

    def _snapshot(self) -> JsonObject:
        cancels = self._cancel_at_period_end
        return {
            "id": self.id,
            "object": "subscription",
            "billing_cycle_anchor": unix(self.began_at),
            "billing_mode": {"type": "flexible"},
            "cancel_at": unix(self.period.ends_at) if cancels else None,
            "cancel_at_period_end": cancels,
            "canceled_at": unix(self._canceled_at) if self._canceled_at else None,
            "cancellation_details": {
                "comment": None,
                "feedback": None,
                "reason": self._cancel_reason,
            },
            "collection_method": "charge_automatically",
            "created": unix(self.began_at),
            "currency": "usd",
            "customer": self.customer_id,
            "default_payment_method": None,
            "discounts": [],
            "ended_at": unix(self._ended_at) if self._ended_at else None,
            "items": {
                "object": "list",
                "data": [self._item()],
                "has_more": False,
                "url": f"/v1/subscription_items?subscription={self.id}",
            },
            "latest_invoice": self._invoice.id,
            "livemode": False,
            "metadata": self._metadata,
            "pause_collection": None,
            "pending_update": None,
            "schedule": None,
            "start_date": unix(self.began_at),
            "status": self.status,
            "test_clock": None,
            "trial_end": None,
            "trial_start": None,
        }


def months_after(at: datetime, count_: int) -> datetime:
    """So many months later, on the month's last day where it has no such day, as Stripe does."""
    years, month = divmod(at.month - 1 + count_, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))
