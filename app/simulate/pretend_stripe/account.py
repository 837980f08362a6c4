"""A Stripe account: the objects that it holds, what people do to them, and the events of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.simulate import stripe_objects
from app.simulate.fake_purchase import FakePurchase
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.price_list import PriceList
from app.simulate.stripe_objects import DEFAULT, Ids, JsonObject, Price, Shape, listed

Params = Mapping[str, Any]


class RefusedError(Exception):
    """A request that Stripe would refuse: its status, code and words."""

    def __init__(self, status: int, told: str, *, code: str | None = None) -> None:
        super().__init__(told)
        self.status = status
        self.code = code

    def as_stripe_tells(self) -> JsonObject:
        """Return the body by which Stripe refuses."""
        reused = self.code == "idempotency_error"
        error: JsonObject = {
            "type": "idempotency_error" if reused else "invalid_request_error",
            "message": str(self),
        }
        return {"error": error if self.code is None or reused else error | {"code": self.code}}


def no_such(kind: str, thing_id: object) -> RefusedError:
    """Return the refusal of an id that names nothing."""
    return RefusedError(404, f"No such {kind}: '{thing_id}'", code="resource_missing")


class Event(msgspec.Struct):
    """An event, whether it reached the book, and whether it is kept from it."""

    body: JsonObject
    delivered: bool = False
    kept_back: bool = False


class StripeAccount(msgspec.Struct, kw_only=True):
    """All that the account holds; a Struct, so that a file can store it.

    ``objects`` has each object as it was last told, by id, the oldest first.
    """

    ids: Ids
    objects: dict[str, JsonObject] = {}
    subscriptions: dict[str, FakeSubscription] = {}
    purchases: dict[str, FakePurchase] = {}
    events: dict[str, Event] = {}
    answers: dict[str, tuple[str, JsonObject]] = {}
    shape: Shape = DEFAULT

    @property
    def id(self) -> str:
        """Stripe's id of it."""
        return f"acct_{self.ids.prefix}"

    def find(self, kind: str, thing_id: object) -> JsonObject:
        """Return the object of this id; raise RefusedError if it is none of this kind."""
        one = self.objects.get(str(thing_id))
        if one is None or one["object"] != kind:
            raise no_such(kind, thing_id)
        return one

    def take(self, events: Sequence[JsonObject]) -> None:
        """Keep these events, and the objects as they tell them."""
        for body in events:
            self.events[str(body["id"])] = Event(body)
            data = body["data"]
            assert isinstance(data, dict)
            about: JsonObject = data["object"]
            self.objects[str(about["id"])] = about

    def happen(self, kind: str, at: datetime, about: JsonObject) -> None:
        """Keep an event about an object."""
        data: JsonObject = {"object": about}
        self.take([stripe_objects.event(self.ids.draw("evt"), kind, at, data, self.shape)])

    def undelivered(self) -> list[Event]:
        """Return the events that are to reach the book and did not yet, the oldest first."""
        return [one for one in self.events.values() if not (one.delivered or one.kept_back)]

    def keep_back(self, count: int) -> None:
        """Keep back all events after so many: they are never sent, and can be asked for."""
        for one in list(self.events.values())[count:]:
            one.kept_back = True

    # Customers

    def create_customer(self, at: datetime, params: Params) -> JsonObject:
        """Make a customer."""
        named = self.ids.draw("cus")
        person = {name: params[name] for name in ("email", "name", "description") if name in params}
        made = stripe_objects.customer(named, "someone", at) | person
        self.happen("customer.created", at, made | {"metadata": params.get("metadata", {})})
        return self.objects[named]

    def customer(self, customer_id: object) -> JsonObject:
        """Return a customer who was not deleted."""
        one = self.find("customer", customer_id)
        if one.get("deleted"):
            raise no_such("customer", customer_id)
        return one

    def update_customer(self, at: datetime, customer_id: str, params: Params) -> JsonObject:
        """Change a customer."""
        changed = {**self.customer(customer_id), **_merged(self.objects[customer_id], params)}
        self.happen("customer.updated", at, changed)
        return changed

    def delete_customer(self, at: datetime, customer_id: str) -> JsonObject:
        """Delete a customer, and end all that was subscribed to."""
        gone = self.customer(customer_id)
        for one in self.running(customer_id):
            self.take(one.delete(at, "cancellation_requested"))
        self.happen("customer.deleted", at, gone)
        deleted: JsonObject = {"id": customer_id, "object": "customer", "deleted": True}
        self.objects[customer_id] = deleted
        return deleted

    def running(self, customer_id: object) -> list[FakeSubscription]:
        """Return the customer's subscriptions that have not ended."""
        return [
            one
            for one in self.subscriptions.values()
            if one.customer_id == customer_id and one.ended_at is None
        ]

    # Checkout

    def open_session(self, at: datetime, params: Params, prices: PriceList) -> JsonObject:
        """Open a Checkout session; the line items are those of the catalogue."""
        mode = params.get("mode")
        if mode not in ("payment", "subscription"):
            raise RefusedError(400, "mode must be payment or subscription")
        if "customer" in params:
            self.customer(params["customer"])
        named = self.ids.draw("cs_test")
        items: list[Any] = [
            {
                "id": self.ids.draw("li"),
                "object": "item",
                "price": stripe_objects.price_object(price, at, once=once),
                "quantity": int(line.get("quantity", 1)),
            }
            for line in params.get("line_items", [])
            for price, once in [price_of(prices, line.get("price"))]
        ]
        if not items:
            raise RefusedError(400, "line_items must name at least one price")
        told = ("cancel_url", "client_reference_id", "customer", "metadata", "success_url")
        session = stripe_objects.checkout_session(
            named,
            at,
            mode=str(mode),
            cents=sum(one["price"]["unit_amount"] * one["quantity"] for one in items),
            paid=False,
            **{
                **{name: params[name] for name in told if name in params},
                "line_items": listed(f"/v1/checkout/sessions/{named}/line_items", items),
                "status": "open",
                "subscription_data": params.get("subscription_data", {}),
            },
        )
        self.objects[named] = session
        return session

    def still_open(self, session_id: str) -> JsonObject:
        """Return a session that is still open."""
        session = self.find("checkout.session", session_id)
        if session["status"] != "open":
            raise RefusedError(400, f"This session is {session['status']}.")
        return session

    def pay_session(self, at: datetime, session_id: str, prices: PriceList) -> JsonObject:
        """Pay a session: its subscription begins, or its packs are bought."""
        session = self.still_open(session_id)
        at = at.replace(microsecond=0)
        if session["customer"] is None:
            session |= {"customer": self.create_customer(at, {})["id"]}
        sold = session["line_items"]["data"][0]  # type: ignore[index]
        price, _ = price_of(prices, sold["price"]["id"])
        begin = self._buy if session["mode"] == "payment" else self._subscribe
        links = begin(at, session, price, int(sold["quantity"]))
        paid = {"payment_status": "paid", "status": "complete", "url": None}
        complete = session | links | paid
        told = {name: value for name, value in complete.items() if name != "line_items"}
        self.happen("checkout.session.completed", at, told)
        self.objects[session_id] = complete
        return complete

    def _buy(self, at: datetime, session: JsonObject, price: Price, quantity: int) -> JsonObject:
        bought = FakePurchase(
            prefix=self.ids.prefix,
            name=self.ids.draw("n").rpartition("_")[2],
            price=price,
            paid_at=at,
            customer_id=str(session["customer"]),
            metadata=session["metadata"],  # type: ignore[arg-type]
            quantity=quantity,
            session_id=str(session["id"]),
            shape=self.shape,
        )
        self.purchases[bought.charge_id] = bought
        self.take(bought.pay()[:-1])
        return {"payment_intent": bought.intent_id}

    def _subscribe(
        self, at: datetime, session: JsonObject, price: Price, quantity: int
    ) -> JsonObject:
        data: Any = session["subscription_data"]
        metadata = data.get("metadata", {})
        one = self.begin(at, str(session["customer"]), [(price, quantity)], metadata)
        return {"subscription": one.id, "invoice": one.latest_invoice.id}

    def decline_session(self, at: datetime, session_id: str) -> None:
        """Decline the card: the session stays open."""
        session = self.still_open(session_id)
        cents = session["amount_total"]
        assert isinstance(cents, int)
        charge = stripe_objects.charge(
            self.ids.draw("ch"), at, cents=cents, customer_id=None, paid=False
        )
        self.happen("charge.failed", at, charge)

    def expire_session(self, at: datetime, session_id: str) -> JsonObject:
        """Let a session expire."""
        expired = self.still_open(session_id) | {"status": "expired"}
        self.happen("checkout.session.expired", at, expired)
        return expired

    def open_portal(self, at: datetime, params: Params) -> JsonObject:
        """Open a portal session."""
        customer = self.customer(params.get("customer"))
        named = self.ids.draw("bps")
        self.objects[named] = {
            "id": named,
            "object": "billing_portal.session",
            "created": int(at.timestamp()),
            "customer": customer["id"],
            "livemode": False,
            "return_url": params.get("return_url"),
        }
        return self.objects[named]

    # Subscriptions

    def begin(
        self,
        at: datetime,
        customer_id: str,
        items: Sequence[tuple[Price, int]],
        metadata: JsonObject | None = None,
    ) -> FakeSubscription:
        """Begin a subscription to these prices, each with its quantity, that is paid at once."""
        name = self.ids.draw("n").rpartition("_")[2]
        one = FakeSubscription(
            self.ids.prefix, name, items[0][0], at, customer_id, metadata or {}, self.shape
        )
        one.set_items(items)
        self.subscriptions[one.id] = one
        self.take(one.subscribe(at))
        return one

    def change(
        self,
        subscription_id: str,
        change: Callable[[FakeSubscription], list[JsonObject]],
    ) -> JsonObject:
        """Change a subscription that has not ended; return it as it is then."""
        one = self.subscriptions.get(subscription_id)
        if one is None:
            raise no_such("subscription", subscription_id)
        if one.ended_at is not None:
            raise RefusedError(400, f"This subscription is {one.status}.")
        self.take(change(one))
        return self.objects[subscription_id]

    def refund(self, at: datetime, params: Params) -> JsonObject:
        """Give back the money of a pack, or some of it."""
        named = {params.get("charge"), params.get("payment_intent")}
        bought = next(
            (one for one in self.purchases.values() if {one.charge_id, one.intent_id} & named),
            None,
        )
        if bought is None:
            raise RefusedError(400, "No pack was paid by this charge: packs alone are refunded.")
        left = bought.cents - bought.refunded_cents
        cents = int(params.get("amount", left))
        if not 0 < cents <= left:
            raise RefusedError(400, f"Of this charge {left} cents can be refunded.")
        made, _ = events = bought.refund(at, cents)
        self.take(events)
        return made["data"]["object"]  # type: ignore[index, no-any-return]


def price_of(prices: PriceList, price_id: object) -> tuple[Price, bool]:
    """Return the catalogue's price of this id, and whether it is paid once."""
    for offer in prices.subscriptions:
        if offer.price.id == price_id:
            return offer.price, False
    for pack in prices.packs:
        if pack.price.id == price_id:
            return pack.price, True
    raise no_such("price", price_id)


def price_objects(prices: PriceList) -> list[JsonObject]:
    """Return every price of the catalogue."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    recurring = [stripe_objects.price_object(one.price, at) for one in prices.subscriptions]
    return [
        *recurring,
        *(stripe_objects.price_object(p.price, at, once=True) for p in prices.packs),
    ]


def _merged(before: JsonObject, params: Params) -> JsonObject:
    """Return the changes; metadata is merged, and an empty value takes its key away."""
    changed = {name: value for name, value in params.items() if name in before}
    if isinstance(metadata := params.get("metadata"), dict):
        was = before["metadata"]
        assert isinstance(was, dict)
        changed["metadata"] = {k: v for k, v in {**was, **metadata}.items() if v != ""}
    return changed
