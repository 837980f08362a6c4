"""The API of a pretend Stripe: a request's method, path and form to its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from app.simulate.pretend_stripe.account import (
    Params,
    RefusedError,
    StripeAccount,
    no_such,
    price_objects,
    price_of,
)
from app.simulate.price_list import PriceList
from app.simulate.stripe_objects import JsonObject, listed

PAGE_SIZE_MAX: Final = 100
PAGE_SIZE_DEFAULT: Final = 10  # Stripe's own
_ENDED: Final = ("canceled", "incomplete_expired")
_FILTERS: Final = ("charge", "customer", "payment_intent", "status", "subscription", "type")
# The kinds that are read by id and listed, by their path.
_KINDS: Final = {
    "charges": "charge",
    "checkout/sessions": "checkout.session",
    "customers": "customer",
    "disputes": "dispute",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "refunds": "refund",
    "subscriptions": "subscription",
}


@dataclass(frozen=True)
class Api:
    """Answers requests of one account; ``base`` is the address of its pages."""

    account: StripeAccount
    prices: PriceList
    base: str

    def answer(
        self, method: str, path: str, params: Params, at: datetime, key: str | None = None
    ) -> JsonObject:
        """Answer a request; raise RefusedError as Stripe would refuse it."""
        if method != "POST" or not key:
            return self._answer(method, path, params, at)
        asked = f"{path} {msgspec.json.encode(params, order='sorted').decode()}"
        if key in self.account.answers:
            before, answer = self.account.answers[key]
            if before != asked:
                told = "Keys for idempotent requests can only be used with the same parameters."
                raise RefusedError(400, told, code="idempotency_error")
            return answer
        answer = self._answer(method, path, params, at)
        self.account.answers[key] = asked, answer
        return answer

    def _answer(self, method: str, path: str, params: Params, at: datetime) -> JsonObject:
        for wanted, pattern, route in _ROUTES:
            if wanted == method and (found := re.fullmatch(pattern, path)):
                return route(self, params, at, *found.groups())
        raise RefusedError(404, f"Unrecognized request URL ({method}: {path}).")

    def get_account(self, _params: Params, _at: datetime) -> JsonObject:
        """Return the account itself."""
        return {"id": f"acct_{self.account.ids.prefix}", "object": "account"}

    def list_kind(self, params: Params, _at: datetime, path: str) -> JsonObject:
        """List the objects of a kind, the newest first."""
        kind = _KINDS[path]
        every = [one for one in reversed(self.account.objects.values()) if one["object"] == kind]
        return _page(f"/v1/{path}", [_shown(one, params) for one in every], params)

    def get_one(self, params: Params, _at: datetime, path: str, thing_id: str) -> JsonObject:
        """Return one object."""
        return _shown(self.account.find(_KINDS[path], thing_id), params)

    def list_events(self, params: Params, _at: datetime) -> JsonObject:
        """List events, the newest first."""
        wanted = params.get("delivery_success")
        every = [
            one.body
            for one in reversed(self.account.events.values())
            if wanted is None or one.delivered is (wanted == "true")
        ]
        # A stable sort: of one second the newest stands first.
        every.sort(key=lambda body: int(str(body["created"])), reverse=True)
        types = params.get("types")
        shown = [body for body in every if types is None or body["type"] in types]
        return _page("/v1/events", shown, params)

    def get_event(self, _params: Params, _at: datetime, event_id: str) -> JsonObject:
        """Return one event."""
        if event_id not in self.account.events:
            raise no_such("event", event_id)
        return self.account.events[event_id].body

    def list_prices(self, params: Params, _at: datetime) -> JsonObject:
        """List the catalogue's prices."""
        return _page("/v1/prices", price_objects(self.prices), params)

    def get_price(self, _params: Params, _at: datetime, price_id: str) -> JsonObject:
        """Return one price."""
        price_of(self.prices, price_id)
        return next(one for one in price_objects(self.prices) if one["id"] == price_id)

    def list_line_items(self, params: Params, _at: datetime, session_id: str) -> JsonObject:
        """List what a Checkout session sells."""
        session: Any = self.account.find("checkout.session", session_id)
        items = session["line_items"]
        return _page(items["url"], items["data"], params)

    def list_subscription_items(self, params: Params, _at: datetime) -> JsonObject:
        """List all items of a subscription."""
        one = self.account.subscriptions.get(str(params.get("subscription")))
        if one is None:
            raise no_such("subscription", params.get("subscription"))
        return _page("/v1/subscription_items", one.item_objects(), params)

    def create_customer(self, params: Params, at: datetime) -> JsonObject:
        """Make a customer."""
        return self.account.create_customer(at, params)

    def update_customer(self, params: Params, at: datetime, customer_id: str) -> JsonObject:
        """Change a customer."""
        return self.account.update_customer(at, customer_id, params)

    def delete_customer(self, _params: Params, at: datetime, customer_id: str) -> JsonObject:
        """Delete a customer."""
        return self.account.delete_customer(at, customer_id)

    def create_session(self, params: Params, at: datetime) -> JsonObject:
        """Open a Checkout session, with a page of ours."""
        session = self.account.open_session(at, params, self.prices)
        session["url"] = f"{self.base}/checkout/{session['id']}"
        return _shown(session, params)

    def expire_session(self, _params: Params, at: datetime, session_id: str) -> JsonObject:
        """Let a Checkout session expire."""
        return self.account.expire_session(at, session_id)

    def create_portal(self, params: Params, at: datetime) -> JsonObject:
        """Open a portal session, with a page of ours."""
        customer = self.account.customer(params.get("customer"))
        named = self.account.ids.draw("bps")
        self.account.objects[named] = {
            "id": named,
            "object": "billing_portal.session",
            "created": int(at.timestamp()),
            "customer": customer["id"],
            "livemode": False,
            "return_url": params.get("return_url"),
            "url": f"{self.base}/portal/{named}",
        }
        return self.account.objects[named]

    def create_subscription(self, params: Params, at: datetime) -> JsonObject:
        """Begin a subscription that is paid at once."""
        items = params.get("items") or [{}]
        customer = self.account.customer(params.get("customer"))
        price, _ = price_of(self.prices, items[0].get("price"))
        quantity = int(items[0].get("quantity", 1))
        metadata = params.get("metadata", {})
        one = self.account.begin(at, str(customer["id"]), price, quantity, metadata)
        return one.snapshot()

    def update_subscription(self, params: Params, at: datetime, named: str) -> JsonObject:
        """Change a subscription's price, note or end."""
        changed = self.get_one({}, at, "subscriptions", named)
        for item in params.get("items", [])[:1]:
            price, _ = price_of(self.prices, item.get("price"))
            changed = self.account.change(named, lambda one: one.change_price(at, price))  # noqa: B023
        for key, value in params.get("metadata", {}).items():
            changed = self.account.change(named, lambda one: one.set_metadata(at, key, value))  # noqa: B023
        if params.get("cancel_at_period_end") == "true":
            changed = self.account.change(named, lambda one: one.schedule_end(at))
        if str(params.get("cancel_at", "")).isdigit():
            ends_at = datetime.fromtimestamp(int(params["cancel_at"]), UTC)
            changed = self.account.change(named, lambda one: one.schedule_end(at, ends_at))
        return changed

    def cancel_subscription(self, _params: Params, at: datetime, named: str) -> JsonObject:
        """End a subscription at once."""
        return self.account.change(named, lambda one: one.delete(at, "cancellation_requested"))

    def create_refund(self, params: Params, at: datetime) -> JsonObject:
        """Give money back."""
        return self.account.refund(at, params)


_ID: Final = r"([A-Za-z0-9_]+)"
_PATHS: Final = f"({'|'.join(_KINDS)})"
_ROUTES: Final[Sequence[tuple[str, str, Callable[..., JsonObject]]]] = (
    ("GET", "/v1/account", Api.get_account),
    ("GET", "/v1/events", Api.list_events),
    ("GET", f"/v1/events/{_ID}", Api.get_event),
    ("GET", "/v1/prices", Api.list_prices),
    ("GET", f"/v1/prices/{_ID}", Api.get_price),
    ("GET", "/v1/subscription_items", Api.list_subscription_items),
    ("GET", f"/v1/checkout/sessions/{_ID}/line_items", Api.list_line_items),
    ("GET", f"/v1/{_PATHS}", Api.list_kind),
    ("GET", f"/v1/{_PATHS}/{_ID}", Api.get_one),
    ("POST", "/v1/customers", Api.create_customer),
    ("POST", f"/v1/customers/{_ID}", Api.update_customer),
    ("DELETE", f"/v1/customers/{_ID}", Api.delete_customer),
    ("POST", "/v1/checkout/sessions", Api.create_session),
    ("POST", f"/v1/checkout/sessions/{_ID}/expire", Api.expire_session),
    ("POST", "/v1/billing_portal/sessions", Api.create_portal),
    ("POST", "/v1/subscriptions", Api.create_subscription),
    ("POST", f"/v1/subscriptions/{_ID}", Api.update_subscription),
    ("DELETE", f"/v1/subscriptions/{_ID}", Api.cancel_subscription),
    ("POST", "/v1/refunds", Api.create_refund),
)


def form(text: str) -> dict[str, Any]:
    """Read a form or a query as Stripe does: ``a[b][0]=c`` is ``{"a": {"b": ["c"]}}``."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        first, *keys = [part.rstrip("]") for part in name.split("[")]
        at = found
        for key in keys:
            at = at.setdefault(first, {})
            first = key or str(len(at))
        at[first] = value
    return {name: _lists(value) for name, value in found.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    made = {key: _lists(part) for key, part in value.items()}
    return list(made.values()) if made and all(key.isdigit() for key in made) else made


def _shown(one: JsonObject, params: Params) -> JsonObject:
    """Return an object without its line items, unless they are asked for."""
    asked = params.get("expand", [])
    if "line_items" in asked or "data.line_items" in asked:
        return one
    return {name: value for name, value in one.items() if name != "line_items"}


def _page(url: str, every: Sequence[JsonObject], params: Params) -> JsonObject:
    """Return a page of a list; a cursor names any object of it, shown or not."""
    places = {one["id"]: place for place, one in enumerate(every)}
    shown = [one for one in every if _wanted(one, params)]
    limit = min(int(params.get("limit", PAGE_SIZE_DEFAULT)), PAGE_SIZE_MAX)
    after, before = params.get("starting_after"), params.get("ending_before")
    for cursor in (after, before):
        if cursor is not None and cursor not in places:
            raise no_such("object", cursor)
    if before is not None:
        rest = [one for one in shown if places[one["id"]] < places[before]]
        return listed(url, rest[-limit:], has_more=len(rest) > limit)
    rest = [one for one in shown if after is None or places[one["id"]] > places[after]]
    return listed(url, rest[:limit], has_more=len(rest) > limit)


def _wanted(one: Mapping[str, Any], params: Params) -> bool:
    since = int(params.get("created", {}).get("gte", 0))
    filters = {name: params[name] for name in _FILTERS if name in params}
    status = filters.pop("status", None)
    if one["object"] == "subscription":
        if status is None and one["status"] in _ENDED:
            return False  # Stripe lists those that ended only where they are asked for
        status = None if status == "all" else status
    filters |= {} if status is None else {"status": status}
    return one.get("created", 0) >= since and all(one.get(k) == v for k, v in filters.items())
