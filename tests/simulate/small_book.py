"""A book in small, on a real socket: keeps what it was sent, and fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
import stripe

from app.embedded.devbook import DevBook, DevKeys

SECRET = "whsec_of_the_small_book"


class Fault(StrEnum):
    """How one request goes wrong."""

    UNHEARD = "unheard"  # the connection breaks before anything is done
    UNANSWERED = "unanswered"  # all is done, and the answer is lost
    UNAVAILABLE = "unavailable"  # 503
    IN_FLIGHT = "in_flight"  # 409, retryable


@dataclass
class SmallBook:
    """Events, spends and accounts by their ids; ``fault_of`` tells the nth request's fault."""

    fault_of: Callable[[int], Fault | None] = lambda _: None
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    lacking: frozenset[str] = frozenset()  # keys of spends for which there are no credits
    events: dict[str, bytes] = field(default_factory=dict)
    spends: dict[str, Any] = field(default_factory=dict)
    refusals: list[tuple[str, datetime]] = field(default_factory=list)
    accounts: dict[str, Any] = field(default_factory=dict)
    clock_moves: list[datetime] = field(default_factory=list)
    request_count: int = 0

    def do(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """One request's effects, and its answer."""
        match method, path.partition("?")[0].strip("/").split("/"):
            case "POST", ["api", "webhooks", "stripe"]:
                return self._event(headers, body)
            case "PUT", ["api", "v1", "accounts", name]:
                self.accounts[name] = orjson.loads(body)
                return 201, {}
            case "POST", ["api", "v1", "accounts", _, "spends"]:
                return self._spend(headers["idempotency-key"], body)
            case "GET", ["api", "v1", "dev", "clock"]:
                return 200, {"now": self.now}
            case "PUT", ["api", "v1", "dev", "clock"]:
                return self._move(datetime.fromisoformat(orjson.loads(body)["now"]))
        return 404, {"code": "not_found"}

    def _event(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        stripe.WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], SECRET, 9)
        event_id = orjson.loads(body)["id"]
        known = self.events.setdefault(event_id, body)
        assert known == body, "one id, one body"
        return 200, {"outcome": "applied" if known is body else "duplicate"}

    def _spend(self, key: str, body: bytes) -> tuple[int, Any]:
        if key in self.lacking:
            self.refusals.append((key, self.now))
            return 402, {"code": "insufficient_credits"}
        assert self.spends.setdefault(key, body) == body, "one key, one body"
        return 201, {"id": f"jrn of {key}"}

    def _move(self, to: datetime) -> tuple[int, Any]:
        if to < self.now:
            return 409, {"code": "clock_backwards"}
        self.now = to
        self.clock_moves.append(to)
        return 200, {"now": to}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        with closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.request_count += 1
            status, answer = self._answer(method, path, headers, body)
            if status:
                content = orjson.dumps(answer)
                start = f"HTTP/1.1 {status} .\r\nConnection: close\r\n"
                writer.write(f"{start}Content-Length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        fault = self.fault_of(self.request_count)
        if fault is Fault.UNHEARD:
            return 0, None
        if fault is Fault.UNAVAILABLE:
            return 503, {"code": "unavailable", "retryable": True}
        if fault is Fault.IN_FLIGHT:
            return 409, {"code": "idempotency_key_in_flight", "retryable": True}
        answer = self.do(method, path, headers, body)
        return (0, None) if fault is Fault.UNANSWERED else answer


@asynccontextmanager
async def listening(book: SmallBook) -> AsyncIterator[DevBook]:
    """The book on a port of its own, as dev.json would tell of it."""
    server = await asyncio.start_server(book.serve, "127.0.0.1", 0)
    async with server:
        yield dev_book(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


def dev_book(base_url: str) -> DevBook:
    """The content of dev.json, without a database."""
    return DevBook(
        base_url=base_url,
        database_url="",
        redis_url=None,
        stripe_webhook_secret=SECRET,
        cron_secret="",
        keys=DevKeys(service="tb_s", auditor="tb_a", operator="tb_o"),
    )
