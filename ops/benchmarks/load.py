"""A lean HTTP client in a process of its own: connections that each send POST after POST."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
from collections.abc import Callable
from typing import cast

import msgspec

from app.embedded.ports import LOOPBACK

BODY = b'{"amount":1}'
Request = Callable[[], bytes]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send, over how many connections, for how long; ``warm_up_s`` are not counted."""

    port: int
    connections: int
    warm_up_s: float
    seconds: float


class Load(Timing, frozen=True, kw_only=True):
    """What to send: {account} in the path is drawn from 1 to ``accounts``."""

    path: str
    token: str
    accounts: int


class _Connection(asyncio.Protocol):
    """One request at a time; ``done`` holds how many were answered with ``status`` by the end."""

    def __init__(self, request: Request, status: int, ends_at: float) -> None:
        self.request = request
        self.answer = f"HTTP/1.1 {status} ".encode()
        self.ends_at = ends_at
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.count = 0
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request())

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, ended, body = self.received.partition(b"\r\n\r\n")
        if not ended or len(body) < _content_length(head):
            return
        if not head.startswith(self.answer):
            self._end(RuntimeError(f"Unexpected: {self.received.decode(errors='replace')}"))
            return
        self.received = b""
        self.count += 1
        if time.monotonic() < self.ends_at:
            self.transport.write(self.request())
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("The server closed the connection."))

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(self.count)
            else:
                self.done.set_exception(error)
        self.transport.close()


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + len(b"content-length:")
    return int(lowered[at:].partition(b"\r\n")[0])


async def send(timing: Timing, request: Request, status: int) -> float:
    """Requests a second, once warm; raises where one was not answered with this status."""
    if timing.warm_up_s:
        await _send(timing, timing.warm_up_s, request, status)
    return await _send(timing, timing.seconds, request, status)


async def _send(timing: Timing, seconds: float, request: Request, status: int) -> float:
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: _Connection(request, status, started + seconds), LOOPBACK, timing.port
        )
        for _ in range(timing.connections)
    ]
    counts = await asyncio.gather(*[connection.done for _, connection in made])
    return sum(counts) / (time.monotonic() - started)


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A request's bytes; each of the headers is a line of its own."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", *headers,
             "Content-Type: application/json", f"Content-Length: {len(body)}"]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


def spends(load: Load) -> Request:
    """Spends of 1, each under a key of its own."""

    def request() -> bytes:
        account = random.randint(1, load.accounts)  # noqa: S311 - it spreads the load
        path = load.path.replace("{account}", str(account))
        key = f"Idempotency-Key: {secrets.token_hex(16)}"
        return post(path, BODY, f"Authorization: Bearer {load.token}", key)

    return request


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    print(asyncio.run(send(told, spends(told), 201)))
