"""Cost of the rate limits: spends over HTTP with and without, a leased token and a single one."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from app.embedded.ports import free_port
from app.embedded.program import spawn
from app.embedded.redis import EmbeddedRedis, find_server
from app.infrastructure.db import opened
from app.infrastructure.limiter import SCRIPT, Limiter
from app.infrastructure.rates import Rate
from app.operators import keys
from app.operators.keys import Scope
from ops.benchmarks import served, wrk
from ops.benchmarks.figures import Figure, at_least, plain
from ops.benchmarks.http_spends import spends
from ops.benchmarks.server import Ledger, Server
from ops.benchmarks.sizes import Sizes

NEVER_REACHED: Final = Rate(1_000_000_000, 1)
COST_MAX: Final = 0.1
TAKES: Final = 5_000
START_S_MAX: Final = 30.0


async def measure(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    """With beside without, round by round; nothing where this machine has no Redis."""
    binary = find_server()
    if binary is None:
        return []
    embedded = EmbeddedRedis(binary, server.folder, free_port(), secrets.token_hex(8))
    process = spawn(embedded.program(), server.folder / "logs", server.guard)
    try:
        await _answers(embedded.url)
        takes = await _takes(embedded.url, sizes.callers)
        if not wrk.is_here():
            return takes
        return [await _spends(server, ledger, sizes, embedded.url), *takes]
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _spends(server: Server, ledger: Ledger, sizes: Sizes, redis_url: str) -> Figure:
    async with opened(ledger.superuser_url) as database:
        token = await keys.create(database, served.PEPPER, "bench", [Scope.SERVICE])
    limit = f"{NEVER_REACHED.limit}/{NEVER_REACHED.window_s}"
    serve = partial(served.child, server, ledger, command=served.TALLYBOOK, REDIS_URL=redis_url)
    async with (
        serve("free", TALLYBOOK_RATE_LIMIT="off") as a,
        serve("limited", TALLYBOOK_RATE_LIMIT=limit) as b,
    ):
        send = partial(wrk.send, requests=spends(token, sizes.accounts), sizes=sizes)
        rounds = [((await send(a)).rate, (await send(b)).rate) for _ in range(sizes.rounds)]
    return at_least("spends by HTTP under rate limits", "spends/s", 1 - COST_MAX, rounds)


async def _takes(redis_url: str, callers: int) -> list[Figure]:
    """One take out of a lease, and one that is asked of Redis by itself."""
    limiter = Limiter(redis_url, within_s=START_S_MAX)
    await limiter.open()
    client = redis.asyncio.Redis.from_url(redis_url)
    script = client.register_script(SCRIPT)
    args = [NEVER_REACHED.limit, NEVER_REACHED.window_s, 1]

    def leased() -> Awaitable[Any]:
        return limiter.take(NEVER_REACHED, "bench")

    def asked() -> Awaitable[Any]:
        return script(keys=["tallybook:limit:bench"], args=args)

    try:
        told = [
            plain(f"one limit, {name}", await _each_ms(take, callers), "ms")
            for name, take in (("leased", leased), ("asked", asked))
        ]
    finally:
        await limiter.close()
        await client.aclose()
    return told


async def _each_ms(take: Callable[[], Awaitable[Any]], callers: int) -> float:
    async def calls() -> None:
        for _ in range(TAKES // callers):
            await take()

    await take()
    started = time.perf_counter()
    await asyncio.gather(*(calls() for _ in range(callers)))
    return (time.perf_counter() - started) / (TAKES // callers * callers) * 1_000


async def _answers(url: str) -> None:
    client = redis.asyncio.Redis.from_url(url)
    ends_at = time.monotonic() + START_S_MAX
    try:
        while True:
            try:
                await client.ping()
                return
            except RedisError:
                if time.monotonic() > ends_at:
                    raise
                await asyncio.sleep(0.02)
    finally:
        await client.aclose()
