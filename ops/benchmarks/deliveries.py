"""Webhooks that we send: claimed, signed, sent and recorded, beside a loop that only sends."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from app.book import Book
from app.embedded.ports import LOOPBACK
from app.infrastructure.db import Database, opened
from app.operators.acts import Operator
from app.outgoing import endpoints
from app.outgoing.deliver import deliver_due
from app.outgoing.sending import CONNECTIONS_MAX, Sender
from ops.benchmarks.figures import Figure, at_least
from ops.benchmarks.floor import CONNECTIONS
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.sizes import Sizes

BOUND: Final = 0.5
SENDER: Final = Sender(pepper="bench-" * 4, allowed=(ipaddress.ip_network(LOOPBACK),))
BODY: Final = (
    b'{"id":"msg_000000000001a","type":"balance.low","version":1,'
    b'"timestamp":"2026-01-31T09:14:03.512345Z","data":{"account_id":"bench-1","n":1}}'
)


async def measure(server: Server, sizes: Sizes) -> list[Figure]:
    """Messages a second, to one endpoint, each round over as many messages."""
    ledger = await make_ledger(server, "ledger_of_deliveries")
    async with _receiver() as port, opened(ledger.application_url, CONNECTIONS) as database:
        url = f"http://{LOOPBACK}:{port}/"
        book, by = Book(database), Operator(actor="bench", reason=None)
        await endpoints.put(book, SENDER, "bench", url, None, False, by)
        await _deliveries(book, ledger, sizes.deliveries // 10 or 1)  # connections, plans
        rounds = [
            (await _posts(url, sizes.deliveries), await _deliveries(book, ledger, sizes.deliveries))
            for _ in range(sizes.rounds)
        ]
    return [
        at_least(
            "webhook messages delivered, beside a bare httpx loop", "messages/s", BOUND, rounds
        )
    ]


async def _deliveries(book: Book, ledger: Ledger, count: int) -> float:
    await _write(book.database, count)
    started = time.monotonic()
    await deliver_due(book, SENDER)
    seconds = time.monotonic() - started
    left = await book.database.fetchval(
        "SELECT count(*) FROM webhook_messages WHERE state <> 'delivered'"
    )
    assert left == 0, f"{left} messages did not arrive"
    return count / seconds


async def _write(database: Database, count: int) -> None:
    await database.execute(
        """SELECT tell_endpoints('balance.low', NULL, tallybook_now(), jsonb_build_object('n', n))
             FROM generate_series(1, $1::int) AS n""",
        count,
    )


async def _posts(url: str, count: int) -> float:
    """The floor: the same connections, the same library, nothing but the request."""
    left = iter(range(count))
    limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as client:

        async def caller() -> None:
            for _ in left:
                answer = await client.post(url, content=BODY)
                assert answer.status_code == 204

        started = time.monotonic()
        await asyncio.gather(*(caller() for _ in range(CONNECTIONS_MAX)))
        return count / (time.monotonic() - started)


@asynccontextmanager
async def _receiver() -> AsyncIterator[int]:
    """Its port, for the length of a block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.benchmarks.receiver"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()
