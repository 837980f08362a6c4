"""The API of a pretend Stripe: a request's method, path and form to its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from app.simulate.fake_subscription import FakeSubscription
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

KEYS_KEPT_MAX: Final = 1_000  # Stripe keeps an Idempotency-Key for a day or more
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

Change = Callable[[FakeSubscription], list[JsonObject]]
Route = Callable[..., JsonObject]  # of the Api, the form, now and the parts of the path


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
        if len(self.account.answers) > KEYS_KEPT_MAX:
            del self.account.answers[next(iter(self.account.answers))]
        return answer

    def _answer(self, method: str, path: str, params: Params, at: datetime) -> JsonObject:
        for wanted, pattern, route in _ROUTES:
            if wanted == method and (found := re.fullmatch(pattern, path)):
                return route(self, params, at, *found.groups())
        raise RefusedError(404, f"Unrecognized request URL ({method}: {path}).")


def _list(api: Api, params: Params, _at: datetime, path: str) -> JsonObject:
    kind = _KINDS[path]
    every = [one for one in reversed(api.account.objects.values()) if one["object"] == kind]
    return _page(f"/v1/{path}", [_shown(one, params) for one in every], params)


def _get(api: Api, params: Params, _at: datetime, path: str, thing_id: str) -> JsonObject:
    return _shown(api.account.find(_KINDS[path], thing_id), params)


def _list_events(api: Api, params: Params, _at: datetime) -> JsonObject:
    wanted, types = params.get("delivery_success"), params.get("types")
    shown = [
        one.body
        for one in reversed(api.account.events.values())
        if (wanted is None or one.delivered is (wanted == "true"))
        and (types is None or one.body["type"] in types)
    ]
    # A stable sort: of one second the newest stands first.
    shown.sort(key=lambda body: int(str(body["created"])), reverse=True)
    return _page("/v1/events", shown, params)


def _get_event(api: Api, _params: Params, _at: datetime, event_id: str) -> JsonObject:
    if event_id not in api.account.events:
        raise no_such("event", event_id)
    return api.account.events[event_id].body


def _get_price(api: Api, _params: Params, _at: datetime, price_id: str) -> JsonObject:
    price_of(api.prices, price_id)
    return next(one for one in price_objects(api.prices) if one["id"] == price_id)


def _list_line_items(api: Api, params: Params, _at: datetime, session_id: str) -> JsonObject:
    session: Any = api.account.find("checkout.session", session_id)
    items = session["line_items"]
    return _page(items["url"], items["data"], params)


def _list_items(api: Api, params: Params, _at: datetime) -> JsonObject:
    one = api.account.subscriptions.get(str(params.get("subscription")))
    if one is None:
        raise no_such("subscription", params.get("subscription"))
    return _page("/v1/subscription_items", one.item_objects(), params)


def _open_session(api: Api, params: Params, at: datetime) -> JsonObject:
    session = api.account.open_session(at, params, api.prices)
    session["url"] = f"{api.base}/checkout/{session['id']}"
    return _shown(session, params)


def _open_portal(api: Api, params: Params, at: datetime) -> JsonObject:
    session = api.account.open_portal(at, params)
    session["url"] = f"{api.base}/portal/{session['id']}"
    return session


def _subscribe(api: Api, params: Params, at: datetime) -> JsonObject:
    customer = api.account.customer(params.get("customer"))
    items = [
        (price_of(api.prices, item.get("price"))[0], int(item.get("quantity", 1)))
        for item in params.get("items") or [{}]
    ]
    metadata = params.get("metadata", {})
    return api.account.begin(at, str(customer["id"]), items, metadata).snapshot()


def _update(api: Api, params: Params, at: datetime, named: str) -> JsonObject:
    """Change a subscription's items, notes or end."""
    changes: list[Change] = []
    if asked := params.get("items"):
        changes.append(_items_changed(api, asked, named, at))
    for key, value in params.get("metadata", {}).items():
        changes.append(partial(FakeSubscription.set_metadata, at=at, key=key, value=value))
    if params.get("cancel_at_period_end") == "true":
        changes.append(partial(FakeSubscription.schedule_end, at=at))
    if str(params.get("cancel_at", "")).isdigit():
        ends_at = datetime.fromtimestamp(int(params["cancel_at"]), UTC)
        changes.append(partial(FakeSubscription.schedule_end, at=at, ends_at=ends_at))
    for change in changes:
        api.account.change(named, change)
    return api.account.find("subscription", named)


def _items_changed(api: Api, asked: Sequence[Params], named: str, at: datetime) -> Change:
    """Make the change of items: one that is named is changed or deleted, any other is added."""
    one = api.account.subscriptions.get(named)
    if one is None:
        raise no_such("subscription", named)
    items = {item.id: (item.price, item.quantity) for item in one.items}
    price = one.price
    for place, item in enumerate(asked):
        # Without an id the only item is meant, as localstripe and old programs say it.
        key = item.get("id") or (one.items[0].id if len(asked) == len(items) == 1 else str(place))
        price, quantity = items.get(key, (one.price, 1))
        if item.get("deleted") == "true":
            items.pop(key, None)
            continue
        if "price" in item:
            price, _ = price_of(api.prices, item["price"])
        items[key] = price, int(item.get("quantity", quantity))
    if len(items) == len(one.items) == 1 and price != one.price:
        return partial(FakeSubscription.change_price, at=at, price=price)
    return partial(FakeSubscription.change_items, at=at, items=list(items.values()))


def _changed(change: Callable[[FakeSubscription, datetime], list[JsonObject]]) -> Route:
    """Make a route that changes a subscription, whatever the request says."""
    return lambda api, _, at, named: api.account.change(named, lambda one: change(one, at))


_ID: Final = r"([A-Za-z0-9_]+)"
_PATHS: Final = f"({'|'.join(_KINDS)})"
_ROUTES: Final[Sequence[tuple[str, str, Route]]] = (
    ("GET", "/v1/account", lambda api, *_: {"id": api.account.id, "object": "account"}),
    ("GET", "/v1/events", _list_events),
    ("GET", f"/v1/events/{_ID}", _get_event),
    ("GET", "/v1/prices", lambda api, p, _: _page("/v1/prices", price_objects(api.prices), p)),
    ("GET", f"/v1/prices/{_ID}", _get_price),
    ("GET", "/v1/subscription_items", _list_items),
    ("GET", f"/v1/checkout/sessions/{_ID}/line_items", _list_line_items),
    ("GET", f"/v1/{_PATHS}", _list),
    ("GET", f"/v1/{_PATHS}/{_ID}", _get),
    ("POST", "/v1/customers", lambda api, p, at: api.account.create_customer(at, p)),
    ("POST", f"/v1/customers/{_ID}", lambda api, p, at, i: api.account.update_customer(at, i, p)),
    ("DELETE", f"/v1/customers/{_ID}", lambda api, _, at, i: api.account.delete_customer(at, i)),
    ("POST", "/v1/checkout/sessions", _open_session),
    (
        "POST",
        f"/v1/checkout/sessions/{_ID}/expire",
        lambda api, _, at, named: api.account.expire_session(at, named),
    ),
    ("POST", "/v1/billing_portal/sessions", _open_portal),
    ("POST", "/v1/subscriptions", _subscribe),
    ("POST", f"/v1/subscriptions/{_ID}", _update),
    ("POST", f"/v1/subscriptions/{_ID}/pause", _changed(FakeSubscription.pause)),
    ("POST", f"/v1/subscriptions/{_ID}/resume", _changed(FakeSubscription.resume)),
    ("DELETE", f"/v1/subscriptions/{_ID}", _changed(FakeSubscription.delete)),
    ("POST", "/v1/refunds", lambda api, p, at: api.account.refund(at, p)),
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
