"""One subscription on Stripe's side: what happens to it, and the events that Stripe then sends."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from itertools import count

from app.simulate import stripe_objects
from app.simulate.stripe_objects import Ids, Invoice, JsonObject, Period, Price, unix

_MONTHS = {"month": 1, "year": 12}


class FakeSubscription:
    """Each method moves it on and returns the events, in the order in which Stripe makes them."""

    def __init__(
        self, prefix: str, name: str, price: Price, began_at: datetime, *,
        customer_id: str | None = None,
    ) -> None:  # fmt: skip
        self._ids = Ids(f"{prefix}_{name}")
        self.name = name
        self._new_customer = customer_id is None
        self.id = f"sub_{prefix}_{name}"
        self.customer_id = customer_id or f"cus_{prefix}_{name}"
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
        self._trial: Period | None = None
        self._invoice = self._bill("subscription_create", price.cents, began_at)
        self._overdue: list[Invoice] = []  # what failed in periods that are over
        self._told: JsonObject = {}  # the snapshot that the last event carried

    def subscribe(self) -> list[JsonObject]:
        """Sign up and pay: incomplete at first, active within the same second."""
        return [*self.begin(), *self.confirm(self.began_at)]

    def begin(self) -> list[JsonObject]:
        """Sign up; the payment waits, as for 3-D Secure."""
        at = self.began_at
        buyer = [self._event("customer.created", at, self._customer(at))]
        return [
            *(buyer if self._new_customer else ()),
            self._event("customer.subscription.created", at, self._snapshot()),
            self._event("invoice.created", at, self._invoice_object()),
        ]

    def confirm(self, at: datetime) -> list[JsonObject]:
        """The first payment comes through."""
        paid = self._paid(at)
        self.status = "active"
        return [*paid, self._updated(at)]

    def lapse(self, at: datetime) -> list[JsonObject]:
        """The first payment never came, 23 hours long: it expires, told by an update."""
        self.status = "incomplete_expired"
        self._ended_at = at
        self._invoice.status = "void"
        return [self._event("invoice.voided", at, self._invoice_object()), self._updated(at)]

    def begin_trial(self, length: timedelta) -> list[JsonObject]:
        """Sign up for a trial: its first invoice is paid and of nothing."""
        at = self.began_at
        self.status = "trialing"
        self._trial = self.period = Period(starts_at=at, ends_at=at + length)
        self._invoice = self._bill("subscription_create", 0, at)
        return [*self.begin(), *self._paid(at)]

    def end_trial(self) -> list[JsonObject]:
        """The trial is over; the first real invoice is drafted, and paid an hour later."""
        self.status = "active"
        return self.renew()

    def be_known(self) -> None:
        """It began, and was paid, where nobody listened: no event tells."""
        self.status = "active"
        self._invoice.status = "paid"
        self._told = self._snapshot()

    def renew(self) -> list[JsonObject]:
        """The next period begins, with a draft invoice. Stripe tries the card an hour later."""
        at = self.period.ends_at
        self.period = self._period_from(at)
        if self._invoice.status == "open":
            self._overdue.append(self._invoice)
        self._invoice = self._bill("subscription_cycle", self.price.cents, at)
        return [self._updated(at), self._event("invoice.created", at, self._invoice_object())]

    def pay(self, at: datetime) -> list[JsonObject]:
        """The open invoice is paid; what had failed recovers."""
        events = self._paid(at)
        if self.status in ("past_due", "unpaid"):
            self.status = "active"
            events.append(self._updated(at))
        return events

    def pay_overdue(self, at: datetime) -> list[JsonObject]:
        """An older invoice is paid; the latest alone decides, so nothing else changes."""
        latest, self._invoice = self._invoice, self._overdue.pop(0)
        events = self._paid(at)
        self._invoice = latest
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
            events.append(self._updated(at))
        return events

    def give_up(self, at: datetime) -> list[JsonObject]:
        """Dunning ends, and the account's settings leave the subscription unpaid."""
        self.status = "unpaid"
        return [self._updated(at)]

    def pause(self, at: datetime) -> list[JsonObject]:
        """It is paused; Stripe tells it twice."""
        self.status = "paused"
        return [
            self._updated(at),
            self._event("customer.subscription.paused", at, self._snapshot()),
        ]

    def resume(self, at: datetime) -> list[JsonObject]:
        """It goes on, with an invoice that is paid at once."""
        self.status = "active"
        self._invoice = self._bill("subscription_cycle", self.price.cents, at)
        return [
            self._event("invoice.created", at, self._invoice_object()),
            *self._paid(at),
            self._updated(at),
            self._event("customer.subscription.resumed", at, self._snapshot()),
        ]

    def change_price(self, at: datetime, price: Price) -> list[JsonObject]:
        """Another price at once, the difference billed and paid."""
        difference = max(0, price.cents - self.price.cents)
        self.price = price
        self._invoice = self._bill("subscription_update", difference, at)
        billed = self._event("invoice.created", at, self._invoice_object())
        return [billed, self._updated(at), *self._paid(at)]

    def set_metadata(self, at: datetime, key: str, value: str) -> list[JsonObject]:
        """Somebody writes a note on it; nothing else changes."""
        self._metadata = {**self._metadata, key: value}
        return [self._updated(at)]

    def cancel_at_period_end(self, at: datetime) -> list[JsonObject]:
        """It is to end with the period; until then it stays active."""
        self._cancel_at_period_end = True
        self._canceled_at = at
        self._cancel_reason = "cancellation_requested"
        return [self._updated(at)]

    def delete(self, at: datetime, reason: str = "payment_failed") -> list[JsonObject]:
        """It ends, for ever: after the period, after the last failed payment, or at once."""
        self.status = "canceled"
        self._canceled_at = self._canceled_at or at
        self._ended_at = at
        self._cancel_reason = self._cancel_reason or reason
        return [self._event("customer.subscription.deleted", at, self._snapshot())]

    def delete_customer(self, at: datetime) -> list[JsonObject]:
        """The customer is deleted, and the subscription with it."""
        gone = self._event("customer.deleted", at, self._customer(at))
        return [*self.delete(at, "cancellation_requested"), gone]

    def _customer(self, at: datetime) -> JsonObject:
        return stripe_objects.customer(self.customer_id, self.name, at)

    def _event(
        self, kind: str, at: datetime, about: JsonObject, previous: JsonObject | None = None
    ) -> JsonObject:
        if about["object"] == "subscription":
            self._told = about
        return stripe_objects.event(self._ids.draw("evt"), kind, at, about, previous)

    def _updated(self, at: datetime) -> JsonObject:
        snapshot = self._snapshot()
        previous = changed_parts(self._told, snapshot)
        return self._event("customer.subscription.updated", at, snapshot, previous)

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
        """The month or year from this instant on, in step with the day on which all began."""
        step = _MONTHS[self.price.interval]
        ends = (months_after(self.began_at, n * step) for n in count(1))
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
            "trial_end": unix(self._trial.ends_at) if self._trial else None,
            "trial_start": unix(self._trial.starts_at) if self._trial else None,
        }


def changed_parts(before: JsonObject, after: JsonObject) -> JsonObject:
    """Stripe's ``previous_attributes``: of what changed the earlier value, and of an object only
    the parts that changed; null where a part is new."""
    changed: JsonObject = {}
    for key in (*before, *(key for key in after if key not in before)):
        was, now = before.get(key), after.get(key)
        if was != now:
            both = isinstance(was, dict) and isinstance(now, dict)
            changed[key] = changed_parts(was, now) if both else was  # type: ignore[arg-type]
    return changed


def months_after(at: datetime, count_: int) -> datetime:
    """So many months later, on the month's last day where it has no such day, as Stripe does."""
    years, month = divmod(at.month - 1 + count_, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))
