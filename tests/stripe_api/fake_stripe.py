"""A small Stripe over real HTTP: subscriptions, events, Checkout; stateful, and able to fail.

A peer to talk to, written from Stripe's documentation: lists are newest first, `ending_before`
pages go back, an Idempotency-Key answers the same for ever, every answer carries its Date.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.stripe_api.forms import nested

KEY = "sk_test_51Fake9Stripe"
MONEY_LISTS = ("/v1/checkout/sessions", "/v1/refunds", "/v1/disputes")


@dataclass
class Call:
    """One request as it came."""

    method: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]


@dataclass
class FakeStripe:
    """What this Stripe account holds; ``now`` is its clock."""

    now: datetime
    base: str = ""
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)  # oldest first
    events: list[tuple[dict[str, Any], bool]] = field(default_factory=list)  # with: delivered
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)  # others, by their path
    calls: list[Call] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # one for each of the next requests
    lacking: set[str] = field(default_factory=set)  # paths that this server does not have
    withdrawn: set[str] = field(default_factory=set)  # prices that are inactive
    after_answer: Any = None  # called with each Call: the world moves on while one asks
    _answers: dict[str, tuple[Any, int, bytes]] = field(default_factory=dict)

    def subscription(self, subscription_id: str = "sub_1", **changes: Any) -> dict[str, Any]:
        """Begin or change one, as somebody at Stripe does; returns the object."""
        end = int(self.now.timestamp()) + 30 * 86_400
        price = changes.pop("price", None)
        known = self.subscriptions.get(subscription_id)
        one = known or {
            "id": subscription_id,
            "object": "subscription",
            "livemode": False,
            "customer": changes.get("customer", "cus_1"),
            "status": "active",
            "metadata": {},
            "cancel_at_period_end": False,
            "created": int(self.now.timestamp()),
            "items": _items("price_pro_monthly", end),
        }
        one = {**one, **changes}
        if price is not None:
            one["items"] = _items(price, one["items"]["data"][0]["current_period_end"])
        self.subscriptions[subscription_id] = one
        return one

    def renew(self, subscription_id: str) -> dict[str, Any]:
        """Its next period begins now."""
        one = self.subscriptions[subscription_id]
        price = one["items"]["data"][0]["price"]["id"]
        end = int(self.now.timestamp()) + 30 * 86_400
        return self.subscription(subscription_id, items=_items(price, end))

    def event(
        self,
        event_id: str,
        kind: str,
        thing: dict[str, Any],
        *,
        delivered: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """An event of now about the object as it is."""
        made = {
            "id": event_id,
            "object": "event",
            "api_version": "2026-08-26.dahlia",
            "created": int(self.now.timestamp()),
            "livemode": thing.get("livemode", False),
            "pending_webhooks": 0 if delivered else 1,
            "type": kind,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": json.loads(json.dumps(thing))},
            **more,
        }
        self.events.append((made, delivered))
        return made

    def count(self, path: str) -> int:
        """How often this path was asked for."""
        return sum(call.path == path for call in self.calls)

    def answer(self, call: Call) -> tuple[int, Any]:
        """The status and the body."""
        key = call.headers.get("idempotency-key")
        if call.headers.get("authorization") != f"Bearer {KEY}":
            said = f"Invalid API Key provided: {call.headers.get('authorization', '')[7:]}"
            return _error(401, said, "invalid_request_error")
        if call.path in self.lacking:
            return _error(404, f"Unrecognized request URL ({call.method}: {call.path}).")
        if call.method == "POST" and key:
            asked = (call.path, call.params)
            if key in self._answers:
                before, status, body = self._answers[key]
                if before != asked:
                    return _error(400, "Keys for idempotent requests …", "idempotency_error")
                return status, json.loads(body)
            status, made = self._route(call)
            self._answers[key] = (asked, status, json.dumps(made).encode())
            return status, made
        return self._route(call)

    def _route(self, call: Call) -> tuple[int, Any]:
        if call.path == "/v1/subscriptions":
            wanted = call.params.get("status")
            newest_first = list(reversed(self.subscriptions.values()))
            ended = ("canceled", "incomplete_expired")
            shown = [s for s in newest_first if wanted == "all" or s["status"] not in ended]
            listed = _list(shown, newest_first, call)
            return 200, {**listed, "data": [self._nested(one, call) for one in listed["data"]]}
        if found := re.fullmatch(r"/v1/subscriptions/([^/]+)", call.path):
            one = self.subscriptions.get(found[1])
            if one is None:
                return _error(404, f"No such subscription: '{found[1]}'")
            return 200, self._nested(one, call)
        if call.path == "/v1/subscription_items":
            items = self.subscriptions[call.params["subscription"]]["items"]["data"][::-1]
            return 200, _list(items, items, call)
        if call.path == "/v1/events":
            return 200, self._events(call)
        return self._route_checkout(call)

    def _route_checkout(self, call: Call) -> tuple[int, Any]:
        if call.method == "GET" and call.path in self.objects:
            one = self.objects[call.path]
            hidden = set() if "line_items" in call.params.get("expand", []) else {"line_items"}
            return 200, {name: value for name, value in one.items() if name not in hidden}
        if call.method == "GET" and call.path in MONEY_LISTS:
            return 200, self._money(call)
        if re.fullmatch(r"/v1/checkout/sessions/([^/]+)/line_items", call.path):
            items = self.objects[call.path.rpartition("/")[0]]["line_items"]["data"]
            return 200, _list(items, items, call)
        if call.path == "/v1/checkout/sessions" and call.method == "POST":
            return self._checkout(call.params)
        if call.path == "/v1/billing_portal/sessions" and call.method == "POST":
            made = {
                "id": "bps_1",
                "object": "billing_portal.session",
                "url": f"{self.base}/portal/{call.params['customer']}",
            }
            return 200, made
        return _error(404, f"Unrecognized request URL ({call.method}: {call.path}).")

    def _nested(self, one: dict[str, Any], call: Call) -> dict[str, Any]:
        """The object as Stripe shows it: lists cut after ten, and links expanded if asked."""
        shown = dict(one)
        for name in ("items", "line_items"):
            if len(shown.get(name, {}).get("data", [])) > 10:
                cut = {"data": shown[name]["data"][:10], "has_more": True}
                shown[name] = {**shown[name], **cut}
        for name in ("customer", "payment_intent", "charge"):
            path = f"/v1/{name}s/{one.get(name)}"
            if f"data.{name}" in call.params.get("expand", []) and path in self.objects:
                shown[name] = self.objects[path]
        return shown

    def _events(self, call: Call) -> dict[str, Any]:
        types = call.params.get("types")
        assert types is None or len(types) <= 20, "Stripe takes no more"
        since = int(call.params.get("created", {}).get("gte", 0))
        wanted = call.params.get("delivery_success")
        newest_first = sorted(
            (event for event, _ in self.events), key=lambda e: e["created"], reverse=True
        )
        delivered = {event["id"]: done for event, done in self.events}
        shown = [
            e
            for e in newest_first
            if (types is None or e["type"] in types)
            and e["created"] >= since
            and (wanted is None or delivered[e["id"]] == (wanted == "true"))
        ]
        return _list(shown, newest_first, call)

    def _money(self, call: Call) -> dict[str, Any]:
        """Sessions, refunds or disputes, newest first; line items where they are asked for."""
        since = int(call.params.get("created", {}).get("gte", 0))
        status = call.params.get("status")
        whole = "data.line_items" in call.params.get("expand", [])
        everything = [
            {name: value for name, value in one.items() if whole or name != "line_items"}
            for path, one in reversed(self.objects.items())
            if path.rpartition("/")[0] == call.path
        ]
        everything = [self._nested(one, call) for one in everything]
        shown = [
            one
            for one in everything
            if one.get("created", since) >= since and status in (None, one.get("status"))
        ]
        return _list(shown, everything, call)

    def _checkout(self, params: dict[str, Any]) -> tuple[int, Any]:
        if params["line_items"][0]["price"] in self.withdrawn:
            return _error(400, "The price specified is inactive.")
        number = len(self._answers) + 1
        return 200, {
            "id": f"cs_test_{number}",
            "object": "checkout.session",
            **params,
            "url": f"{self.base}/pay/cs_test_{number}",
        }


def _items(price: str, end: int) -> dict[str, Any]:
    return {
        "object": "list",
        "has_more": False,
        "data": [
            {
                "id": "si_1",
                "object": "subscription_item",
                "current_period_end": end,
                "quantity": 1,
                "price": {
                    "id": price,
                    "object": "price",
                    "recurring": {"interval": "month", "interval_count": 1},
                },
            }
        ],
    }


def _error(status: int, said: str, kind: str = "invalid_request_error") -> tuple[int, Any]:
    code = {"code": "resource_missing"} if status == 404 else {}
    return status, {"error": {"type": kind, "message": said, **code}}


def _list(shown: list[Any], everything: list[Any], call: Call) -> dict[str, Any]:
    """A page; a cursor names any object of the kind, whether the filter shows it or not."""
    place = {one["id"]: at for at, one in enumerate(everything)}
    limit = int(call.params.get("limit", 10))
    if after := call.params.get("starting_after"):
        rest = [one for one in shown if place[one["id"]] > place[after]]
        page, more = rest[:limit], len(rest) > limit
    elif before := call.params.get("ending_before"):
        rest = [one for one in shown if place[one["id"]] < place[before]]
        page, more = rest[-limit:], len(rest) > limit
    else:
        page, more = shown[:limit], len(shown) > limit
    return {"object": "list", "url": call.path, "data": page, "has_more": more}


@asynccontextmanager
async def serving_stripe(stripe: FakeStripe) -> AsyncIterator[FakeStripe]:
    """Serve it on a loopback socket for the length of a block."""
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                while (call := await _read(reader)) and await _serve(stripe, call, writer):
                    continue
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    stripe.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stripe
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Call(method, url.path, nested(parse_qsl(url.query or body.decode())), headers)


async def _serve(stripe: FakeStripe, call: Call, writer: asyncio.StreamWriter) -> bool:
    """Answer; False where the connection ends."""
    stripe.calls.append(call)
    fault = stripe.faults.pop(0) if stripe.faults else ""
    if fault == "hangs":
        await asyncio.sleep(3_600)
    if fault == "hangs up":
        return False
    status, body = stripe.answer(call)
    text = json.dumps(body).encode()
    if fault in ("500", "429", "409", "403"):
        status, body = _error(int(fault), f"told to fail, {KEY}")
        text = json.dumps(body).encode()
    elif fault == "no json":
        text = b"<html>Bad gateway</html>"
    elif fault == "a list":
        text = b"[]"
    elif fault == "an odd error":
        status, text = 400, b'{"error": "odd"}'
    elif fault == "a page that is not found":
        status, text = 404, b"404: Not Found"
    elif fault == "huge":
        text = b'{"data": "' + b"x" * (33 * 1024 * 1024) + b'"}'
    date = "" if fault == "no date" else f"Date: {format_datetime(stripe.now, usegmt=True)}\r\n"
    writer.write(
        f"HTTP/1.1 {status} X\r\n{date}Content-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n\r\n".encode()
        + text
    )
    await writer.drain()
    if stripe.after_answer is not None:
        await stripe.after_answer(call)
    return True


def utc(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
