"""A receiver of webhooks in a process of its own, as lean as one can be: it answers 204 to all."""

from __future__ import annotations

import asyncio
import sys

from app.embedded.ports import LOOPBACK

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Reads a head and as much body as that says, and answers."""

    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, ended, body = self.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if ended and len(body) >= length:
            self.received = body[length:]
            self.transport.write(_ANSWER)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, LOOPBACK, 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # the starter waits for the port
    await asyncio.to_thread(sys.stdin.read)  # until the starter closes its end


if __name__ == "__main__":
    asyncio.run(_serve())
