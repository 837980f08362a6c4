"""One subscription on Stripe's side: what happens to it, and the events that Stripe then sends."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final

import msgspec

from app.simulate import stripe_objects
from app.simulate.stripe_objects import (
    DEFAULT,
    Ids,
    Invoice,
    Item,
    JsonObject,
    Period,
    Price,
    Shape,
    unix,
)

ITEMS_SHOWN_MAX: Final = 10  # of a list inside an event; the rest is to be asked for
_MONTHS: Final = {"month": 1, "year": 12}


class FakeSubscription(msgspec.Struct):
    """Each method changes it and returns the events, in the order in which Stripe makes them.

    Without ``customer_id`` it begins with a customer of its own. It is a Struct, so that a pretend
    Stripe can store it.
    """

    prefix: str
    name: str
    first_price: Price
    began_at: datetime
    customer_id: str = ""
    metadata: JsonObject = {}
    shape: Shape = DEFAULT
    new_customer: bool = False
    ids: Ids = msgspec.field(default_factory=lambda: Ids(""))
    status: str = "incomplete"
    items: list[Item] = []
    period: Period | None = None
    cancel_at: datetime | None = None
    cancel_at_period_end: bool = False
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_reason: str | None = None
    trial: Period | None = None
    pending_update: JsonObject | None = None
    collection_paused: bool = False
    invoice: Invoice | None = None
    proposal: Invoice | None = None  # of a pending update
    overdue: list[Invoice] = []
    told: JsonObject = {}

    def __post_init__(self) -> None:
        if self.items:
            return  # it was stored, and is read again
        self.ids = Ids(f"{self.prefix}_{self.name}")
        self.new_customer = not self.customer_id
        self.customer_id = self.customer_id or f"cus_{self.prefix}_{self.name}"
        self.items = [Item(id=self.ids.draw("si"), price=self.first_price)]
        self.period = self._period_from(self.began_at)
        self.invoice = self._bill("subscription_create", self.price.cents, self.began_at)

    @property
    def id(self) -> str:
        """Stripe's id of it."""
        return f"sub_{self.prefix}_{self.name}"

    @property
    def price(self) -> Price:
        """The first item's price."""
        return self.items[0].price

    @property
    def running(self) -> Period:
        """The period that runs."""
        assert self.period is not None, "__post_init__ sets it"
        return self.period

    @property
    def latest_invoice(self) -> Invoice:
        """The newest invoice."""
        assert self.invoice is not None, "__post_init__ sets it"
        return self.invoice

    def subscribe(self, at: datetime) -> list[JsonObject]:
        """Sign up and pay: incomplete at first, active within the same second."""
        return [*self.begin(at), *self.confirm(at)]

    def begin(self, at: datetime) -> list[JsonObject]:
        """Sign up; the payment waits, as for 3-D Secure."""
        buyer = [self._event("customer.created", at, self._customer(at))]
        return [
            *(buyer if self.new_customer else ()),
            self._event("customer.subscription.created", at, self.snapshot()),
            self._invoiced("created", at),
        ]

    def confirm(self, at: datetime) -> list[JsonObject]:
        """Receive the first payment."""
        paid = self._paid(at)
        self.status = "active"
        return [*paid, self._updated(at)]

    def lapse(self, at: datetime) -> list[JsonObject]:
        """Expire after 23 hours without the first payment; an update tells it."""
        self.status = "incomplete_expired"
        self.ended_at = at
        self.latest_invoice.status = "void"
        return [self._invoiced("voided", at), self._updated(at)]

    def begin_trial(self, at: datetime, length: timedelta) -> list[JsonObject]:
        """Sign up for a trial: its first invoice is paid and of nothing."""
        self.status = "trialing"
        self.trial = self.period = Period(starts_at=at, ends_at=at + length)
        self.invoice = self._bill("subscription_create", 0, at)
        return [*self.begin(at), *self._paid(at)]

    def end_trial(self, at: datetime) -> list[JsonObject]:
        """End the trial; the first real invoice is drafted, and paid an hour later."""
        self.status = "active"
        return self.renew(at)

    def be_known(self) -> None:
        """Begin and be paid where nobody listened: no event tells of it."""
        self.status = "active"
        self.latest_invoice.status = "paid"
        self.told = self.snapshot()

    def renew(self, at: datetime) -> list[JsonObject]:
        """Begin the next period, with a draft invoice. Stripe tries the card an hour later."""
        self.period = self._period_from(at)
        if self.latest_invoice.status == "open":
            self.overdue.append(self.latest_invoice)
        self.invoice = self._bill("subscription_cycle", self.price.cents, at)
        return [self._updated(at), self._invoiced("created", at)]

    def pay(self, at: datetime) -> list[JsonObject]:
        """Pay the newest invoice; what had failed recovers, and what is paused stays so."""
        events = self._paid(at)
        if self.status in ("past_due", "unpaid"):
            self.status = "active"
            events.append(self._updated(at))
        return events

    def pay_overdue(self, at: datetime) -> list[JsonObject]:
        """Pay an older invoice; the newest alone decides, so nothing else changes."""
        latest, self.invoice = self.invoice, self.overdue.pop(0)
        events = self._paid(at)
        self.invoice = latest
        return events

    def fail_payment(self, at: datetime) -> list[JsonObject]:
        """Decline the card; only the first failure changes the subscription."""
        events = self._declined(at)
        if self.status == "active":
            self.status = "past_due"
            events.append(self._updated(at))
        return events

    def give_up(self, at: datetime) -> list[JsonObject]:
        """End dunning, as an account's settings may have it, by leaving it unpaid."""
        self.status = "unpaid"
        return [self._updated(at)]

    def pause(self, at: datetime) -> list[JsonObject]:
        """Pause it; Stripe tells it twice."""
        self.status = "paused"
        return [self._updated(at), self._event("customer.subscription.paused", at, self.told)]

    def resume(self, at: datetime) -> list[JsonObject]:
        """Go on, with an invoice that is paid at once."""
        self.status = "active"
        self.invoice = self._bill("subscription_cycle", self.price.cents, at)
        events = [self._invoiced("created", at), *self._paid(at), self._updated(at)]
        return [*events, self._event("customer.subscription.resumed", at, self.told)]

    def change_price(self, at: datetime, price: Price) -> list[JsonObject]:
        """Change to another price at once, with the difference billed and paid."""
        difference = max(0, price.cents - self.price.cents)
        self.items[0] = msgspec.structs.replace(self.items[0], price=price)
        self.invoice = self._bill("subscription_update", difference, at)
        return [self._invoiced("created", at), self._updated(at), *self._paid(at)]

    def change_items(self, at: datetime, items: Sequence[tuple[Price, int]]) -> list[JsonObject]:
        """Have these prices, each with its quantity, and no others."""
        self.set_items(items)
        return [self._updated(at)]

    def set_items(self, items: Sequence[tuple[Price, int]]) -> None:
        """Have these prices before anybody is told of it."""
        known = [item.id for item in self.items]
        named = [*known, *(self.ids.draw("si") for _ in items[len(known) :])]
        self.items = [
            Item(id=item_id, price=price, quantity=quantity)
            for item_id, (price, quantity) in zip(named, items, strict=False)
        ]

    def propose_price(self, at: datetime, price: Price) -> list[JsonObject]:
        """Ask for another price that counts once it is paid; the card is declined."""
        item = {"id": self.items[0].id, "price": stripe_objects.price_object(price, at)}
        ends = unix(at + timedelta(hours=23))
        self.pending_update = {"expires_at": ends, "subscription_items": [item]}
        self.proposal = self._bill("subscription_update", price.cents, at)
        return [self._updated(at), *self.decline_proposal(at)]

    def decline_proposal(self, at: datetime) -> list[JsonObject]:
        """Decline the card for the pending update; its invoice is not the newest of them."""
        latest, self.invoice = self.invoice, self.proposal
        events = self._declined(at)
        self.invoice = latest
        return events

    def forget_proposal(self, at: datetime) -> list[JsonObject]:
        """Let the pending update expire."""
        self.pending_update = None
        return [self._event("customer.subscription.pending_update_expired", at, self.snapshot())]

    def pause_collection(self, at: datetime) -> list[JsonObject]:
        """Stop collecting payments, which is no status: it stays as it is."""
        self.collection_paused = True
        return [self._updated(at)]

    def resume_collection(self, at: datetime) -> list[JsonObject]:
        """Collect payments again."""
        self.collection_paused = False
        return [self._updated(at)]

    def set_metadata(self, at: datetime, key: str, value: str) -> list[JsonObject]:
        """Write a note on it; nothing else changes."""
        self.metadata = {**self.metadata, key: value}
        return [self._updated(at)]

    def schedule_end(self, at: datetime, ends_at: datetime | None = None) -> list[JsonObject]:
        """Plan its end at an instant, by default the period's end; until then it stays active."""
        self.cancel_at_period_end = ends_at is None and not self.shape.flexible
        self.cancel_at = ends_at or self.running.ends_at
        self.canceled_at = at
        self.cancel_reason = "cancellation_requested"
        return [self._updated(at)]

    def delete(self, at: datetime, reason: str = "payment_failed") -> list[JsonObject]:
        """End it: after the period, after the last failed payment, or at once."""
        self.status = "canceled"
        self.canceled_at = self.canceled_at or at
        self.ended_at = at
        self.cancel_reason = self.cancel_reason or reason
        return [self._event("customer.subscription.deleted", at, self.snapshot())]

    def delete_customer(self, at: datetime) -> list[JsonObject]:
        """Delete the customer, and the subscription with it."""
        gone = self._event("customer.deleted", at, self._customer(at))
        return [*self.delete(at, "cancellation_requested"), gone]

    def complete_session(self, more_cents: int = 0, **fields: object) -> JsonObject:
        """Return the event of the Checkout session by which it began, and which sold more."""
        session = stripe_objects.checkout_session(
            self.ids.draw("cs_test"),
            self.began_at,
            mode="subscription",
            cents=self.price.cents + more_cents,
            paid=True,
            **{"customer": self.customer_id, "subscription": self.id, **fields},
        )
        return self._event("checkout.session.completed", self.began_at, session)

    def snapshot(self) -> JsonObject:
        """Return the subscription as Stripe shows it now."""
        items = self.item_objects()[:ITEMS_SHOWN_MAX]
        listed_at = f"/v1/subscription_items?subscription={self.id}"
        more = len(self.items) > ITEMS_SHOWN_MAX
        return stripe_objects.thing(
            "subscription",
            self.id,
            self.began_at,
            billing_cycle_anchor=unix(self.began_at),
            billing_mode={"type": "flexible" if self.shape.flexible else "classic"},
            cancel_at=_unix(self.cancel_at),
            cancel_at_period_end=self.cancel_at_period_end,
            canceled_at=_unix(self.canceled_at),
            cancellation_details={"comment": None, "feedback": None, "reason": self.cancel_reason},
            customer=self.customer_id,
            ended_at=_unix(self.ended_at),
            items=stripe_objects.listed(listed_at, items, has_more=more),
            latest_invoice=self.latest_invoice.id,
            metadata=self.metadata,
            pause_collection={"behavior": "void"} if self.collection_paused else None,
            pending_update=self.pending_update,
            start_date=unix(self.began_at),
            status=self.status,
            trial_end=_unix(self.trial.ends_at if self.trial else None),
            trial_start=_unix(self.trial.starts_at if self.trial else None),
            **self._fields_of_shape(),
        )

    def _fields_of_shape(self) -> JsonObject:
        """Return the fields that not every API version has."""
        if not self.shape.item_periods:
            return stripe_objects.period_fields(self.running)
        if not self.shape.flexible:
            return {}
        paused = {"subscription": {"type": "pause_requested"}, "type": "subscription"}
        return {"status_details": {"paused": paused if self.status == "paused" else None}}

    def item_objects(self) -> list[JsonObject]:
        """Return all of its items."""
        return [
            stripe_objects.item_object(self.id, item, self.running, self.shape)
            for item in self.items
        ]

    def _customer(self, at: datetime) -> JsonObject:
        return stripe_objects.customer(self.customer_id, self.name, at)

    def _event(self, kind: str, at: datetime, about: JsonObject, **more: object) -> JsonObject:
        if about["object"] == "subscription":
            self.told = about
        data = {"object": about, **more}
        return stripe_objects.event(self.ids.draw("evt"), kind, at, data, self.shape)

    def _updated(self, at: datetime) -> JsonObject:
        now = self.snapshot()
        previous = changed_parts(self.told, now)
        return self._event("customer.subscription.updated", at, now, previous_attributes=previous)

    def _invoiced(self, what: str, at: datetime) -> JsonObject:
        bill = self.latest_invoice
        about = stripe_objects.invoice_object(bill, self.id, self.customer_id, self.shape)
        return self._event(f"invoice.{what}", at, about)

    def _paid(self, at: datetime) -> list[JsonObject]:
        """Return three of the events that Stripe sends for one payment."""
        self.latest_invoice.status = "paid"
        charged = self._charged("succeeded", at)
        return [charged, self._invoiced("paid", at), self._invoiced("payment_succeeded", at)]

    def _declined(self, at: datetime) -> list[JsonObject]:
        self.latest_invoice.status = "open"
        return [self._charged("failed", at), self._invoiced("payment_failed", at)]

    def _charged(self, what: str, at: datetime) -> JsonObject:
        self.latest_invoice.attempt_count += 1
        about = stripe_objects.charge(
            self.ids.draw("ch"),
            at,
            cents=self.latest_invoice.cents,
            customer_id=self.customer_id,
            paid=what == "succeeded",
        )
        return self._event(f"charge.{what}", at, about)

    def _bill(self, reason: str, cents: int, at: datetime) -> Invoice:
        return Invoice(
            id=self.ids.draw("in"),
            reason=reason,
            price=self.price,
            cents=cents,
            created_at=at,
            period=self.running,
        )

    def _period_from(self, at: datetime) -> Period:
        """Return the month or year from this instant on, in step with the day of the beginning."""
        step = _MONTHS[self.price.interval]
        ends = (months_after(self.began_at, n * step) for n in count(1))
        return Period(starts_at=at, ends_at=next(end for end in ends if end > at))


def changed_parts(before: JsonObject, after: JsonObject) -> JsonObject:
    """Return Stripe's ``previous_attributes``: the earlier value of all that changed.

    Of an object only the parts that changed, and null for a part that is new.
    """
    changed: JsonObject = {}
    for key in (*before, *(key for key in after if key not in before)):
        was, now = before.get(key), after.get(key)
        if was != now:
            both = isinstance(was, dict) and isinstance(now, dict)
            changed[key] = changed_parts(was, now) if both else was  # type: ignore[arg-type]
    return changed


def months_after(at: datetime, count_: int) -> datetime:
    """Return so many months later, on the month's last day if it has no such day, as Stripe."""
    years, month = divmod(at.month - 1 + count_, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _unix(at: datetime | None) -> int | None:
    return None if at is None else unix(at)
