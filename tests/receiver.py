"""A receiver of webhooks on loopback, which verifies each by the library of Standard Webhooks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from standardwebhooks import Webhook


class Received(NamedTuple):
    """A request whose signature was good."""

    id: str
    type: str
    data: dict[str, Any]
    payload: dict[str, Any]
    headers: dict[str, str]


Answering = Callable[[Received], int | None]


class Receiver:
    """Takes requests one after another on each connection; ``answer`` chooses the status.

    A status of None leaves the sender without an answer.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._tls = tls
        self.secret: str | None = None
        self.answer: Answering = lambda _: 204
        self.more_headers = ""
        self.received: list[Received] = []
        self.refused: list[str] = []
        self.connection_count = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?from=tallybook"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.received]

    @property
    def types(self) -> list[str]:
        return [one.type for one in self.received]

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """End as by SIGKILL: the port is closed, and connections are cut."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        self._writers.add(writer)
        try:
            while await self._take(reader, writer):
                continue
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        status = self._judge(head[0], headers, body)
        if status is None:
            await reader.read()  # until the sender gives up
            return False
        writer.write(
            f"HTTP/1.1 {status} Told\r\n{self.more_headers}Content-Length: 0\r\n\r\n".encode()
        )
        await writer.drain()
        return True

    def _judge(self, line: str, headers: dict[str, str], body: bytes) -> int | None:
        if self.secret is None or line != "POST /hooks?from=tallybook HTTP/1.1":
            self.refused.append(line)
            return 404
        try:
            payload = Webhook(self.secret).verify(body, headers)
        except Exception as error:  # what the library says of it is the test's to see
            self.refused.append(str(error))
            return 401
        one = Received(headers["webhook-id"], payload["type"], payload["data"], payload, headers)
        self.received.append(one)
        return self.answer(one)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver for the length of a block."""
    receiver = Receiver(tls)
    await receiver.start()
    try:
        yield receiver
    finally:
        if receiver._server is not None:
            await receiver.kill()
