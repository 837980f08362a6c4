"""One pipelined connection to Redis whose every answer comes soon or not at all.

redis-py's asyncio client costs a tenth of a millisecond of Python for each command, which is more
than a tenth of a request; this one writes the commands of one turn of the loop at once and leaves
the parsing to hiredis.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import hiredis

CONNECT_SECONDS_MAX: Final = 1.0
PORT_DEFAULT: Final = 6379
_NOTHING_YET: Final = object()


def pack(*words: str | bytes) -> bytes:
    """A command as it is sent."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return packed


class RedisPipe(asyncio.Protocol):
    """A connection that was made; it is thrown away at its first fault."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_NOTHING_YET)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()

    async def call(self, command: bytes, within_s: float) -> Any:
        """The answer; ConnectionError where it did not come in time or is an error."""
        if self._transport is None:
            raise ConnectionError("the connection to Redis is closed")
        answer = self._loop.create_future()
        self._waiting.append(answer)
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(command)
        alarm = self._loop.call_later(within_s, self._late, answer)
        try:
            return await answer
        finally:
            alarm.cancel()

    def _late(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():  # it may have come in the very turn that was late
            self.close()

    def close(self) -> None:
        """Cut it off; whoever waits is told."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._fail()

    def _send(self) -> None:
        unsent, self._unsent = b"".join(self._unsent), []
        if self._transport is not None:
            self._transport.write(unsent)

    def _fail(self) -> None:
        self.closed.set()
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(ConnectionError("Redis did not answer"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        # No instance of it on every event loop: uvloop's has its methods and not its name.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Of asyncio."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _NOTHING_YET:
            answer = self._waiting.popleft()
            if answer.done():  # whoever asked went away
                continue
            if isinstance(reply, hiredis.HiredisError):
                answer.set_exception(ConnectionError(str(reply)))
            else:
                answer.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio."""
        self._transport = None
        self._fail()


async def connect(url: str) -> RedisPipe:
    """A connection that has said who it is; ConnectionError, OSError or TimeoutError without one.

    Reads redis://, rediss:// and unix:// with user, password and database.
    """
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS_MAX):
        if parts.scheme == "unix":
            _, pipe = await loop.create_unix_connection(RedisPipe, unquote(parts.path))
        else:
            secured = ssl.create_default_context() if parts.scheme == "rediss" else None
            _, pipe = await loop.create_connection(
                RedisPipe, parts.hostname or "localhost", parts.port or PORT_DEFAULT, ssl=secured
            )
        try:
            if parts.password:
                user = (unquote(parts.username),) if parts.username else ()
                await pipe.call(pack("AUTH", *user, unquote(parts.password)), CONNECT_SECONDS_MAX)
            number = parts.path.strip("/") if parts.scheme != "unix" else ""
            if number:
                await pipe.call(pack("SELECT", number), CONNECT_SECONDS_MAX)
        except BaseException:
            pipe.close()
            raise
    return pipe
