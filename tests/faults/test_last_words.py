"""A connection whose server said farewell, and has not hung up yet, is answered 503, not 500."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from app.infrastructure.settings import Settings
from tests.api_client import open_api
from tests.conftest import Server, open_database


def farewell() -> bytes:
    """What PostgreSQL sends to every connection when it shuts down."""
    fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    return b"E" + struct.pack("!i", 4 + len(fields)) + fields


class Between:
    """Stands between a client and PostgreSQL, and can speak for the latter."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(*self._to)
        self._clients.append(writer)
        await asyncio.gather(self._pass(reader, other_writer), self._pass(other_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    def say_farewell(self) -> None:
        """To every client, on a line that stays open."""
        for client in self._clients:
            client.write(farewell())

    def hang_up(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()


@asynccontextmanager
async def between(url: str) -> AsyncIterator[tuple[Between, str]]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    middle = Between(parts.hostname, parts.port)
    server = await asyncio.start_server(middle.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    try:
        yield middle, urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
    finally:
        server.close()
        middle.hang_up()


async def test_a_server_that_says_farewell_is_away_and_the_next_connection_works(
    server: Server, settings: Settings
) -> None:
    async with (
        between(server.application_url) as (middle, url),
        open_database(server.application_url) as database,
        open_api(database, replace(settings, database_url=url)) as api,
    ):
        await api.put("/api/v1/accounts/una", {})
        middle.say_farewell()
        await asyncio.sleep(0.2)  # it is read while nobody asks
        refused = await api.spend("una", 1, "key-1")
        assert refused.status_code == 503
        assert refused.json()["retryable"] is True
        middle.hang_up()
        await asyncio.sleep(0.2)
        assert (await api.spend("una", 1, "key-1")).status_code == 201
