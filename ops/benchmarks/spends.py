"""Spends through the ledger's Python call, beside pgbench running one statement."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256

from app.book import Book
from app.errors import TallybookError
from app.infrastructure.db import opened
from app.ledger.idempotency import RequestKey, key_of
from app.spending.orders import SpendOrder
from app.spending.queue import SpendQueue
from ops.benchmarks.figures import Figure, at_least
from ops.benchmarks.floor import CONNECTIONS, pgbench
from ops.benchmarks.server import Ledger, Server
from ops.benchmarks.sizes import Sizes

HOT_CALLERS = 64
HOT_ACCOUNT = 1

Call = Callable[[SpendOrder], Awaitable[object]]


def call_under_test(book: Book) -> Call:
    """One spend, by the call that the HTTP handler makes; another way to spend goes in here."""
    queue = SpendQueue(book)

    async def call(order: SpendOrder) -> object:
        result = await queue.spend(order)
        if isinstance(result, TallybookError):
            raise result
        return result

    return call


async def uniform(server: Server, ledger: Ledger, sizes: Sizes) -> Figure:
    """Accounts drawn uniformly."""
    rounds = await _rounds(server, ledger, sizes, (1, sizes.accounts), sizes.callers)
    name = f"spends by the Python call, {sizes.callers} callers, {sizes.accounts} accounts"
    return at_least(name, "spends/s", 0.5, rounds)


async def hot(server: Server, ledger: Ledger, sizes: Sizes) -> Figure:
    """One account for all."""
    rounds = await _rounds(server, ledger, sizes, (HOT_ACCOUNT, HOT_ACCOUNT), HOT_CALLERS)
    return at_least(f"spends of one account, {HOT_CALLERS} callers", "spends/s", 0.5, rounds)


async def rate(ledger: Ledger, sizes: Sizes) -> float:
    """Spends a second of accounts drawn uniformly, in one round."""
    async with opened(ledger.application_url, CONNECTIONS) as database:
        call, accounts = call_under_test(Book(database)), (1, sizes.accounts)
        await _spends_per_s(call, accounts, sizes.callers, sizes.warm_up_s)
        return await _spends_per_s(call, accounts, sizes.callers, sizes.round_s)


async def _rounds(
    server: Server, ledger: Ledger, sizes: Sizes, accounts: tuple[int, int], callers: int
) -> list[tuple[float, float]]:
    """(floor, value) in turn, so that a noisy minute falls on both."""
    rounds = []
    async with opened(ledger.application_url, CONNECTIONS) as database:
        call = call_under_test(Book(database))
        for _ in range(sizes.rounds):
            floor = await pgbench(ledger, server.folder, accounts, sizes.warm_up_s, sizes.round_s)
            await _spends_per_s(call, accounts, callers, sizes.warm_up_s)
            rounds.append((floor, await _spends_per_s(call, accounts, callers, sizes.round_s)))
    return rounds


async def _spends_per_s(
    call: Call, accounts: tuple[int, int], callers: int, seconds: float
) -> float:
    count = 0
    started = time.monotonic()
    ends_at = started + seconds

    async def caller() -> None:
        nonlocal count
        while time.monotonic() < ends_at:
            await call(order_of(random.randint(*accounts)))  # noqa: S311 - it spreads the load
            count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return count / (time.monotonic() - started)


def order_of(account: int) -> SpendOrder:
    """A spend of 1 under a key of its own."""
    key = secrets.token_hex(16)
    return SpendOrder(
        account_id=f"bench-{account}",
        amount=1,
        actor="bench",
        key=RequestKey(key_of(key, b""), sha256(key.encode()).digest()),
    )
