"""HTTP through the real service, beside bare handlers under the same server."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

from app.infrastructure.db import opened
from app.operators import keys
from app.operators.keys import Scope
from ops.benchmarks import served, wrk
from ops.benchmarks.figures import Figure, at_least
from ops.benchmarks.server import Ledger, Server
from ops.benchmarks.sizes import Sizes

BODY = b'{"amount":1}'


async def measure(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    """Spends and reads: authenticated and validated, against none of it; [] without wrk."""
    if not wrk.is_here():
        return []
    async with _both(server, ledger) as (token, bare_port, port):
        figures = []
        for name, unit, bound, floor, subject in (
            ("spends by HTTP", "spends/s", 0.5, bare_spends, spends),
            ("accounts read by HTTP", "reads/s", 0.5, bare_reads, reads),
        ):
            rounds = []
            for _ in range(sizes.rounds):
                low = await wrk.send(bare_port, floor(sizes.accounts), sizes)
                high = await wrk.send(port, subject(token, sizes.accounts), sizes)
                rounds.append((low.rate, high.rate))
            figures.append(at_least(f"{name}, {sizes.callers} connections", unit, bound, rounds))
        return figures


@asynccontextmanager
async def _both(server: Server, ledger: Ledger) -> AsyncIterator[tuple[str, int, int]]:
    """A key, the port of the bare handlers, and that of the service."""
    async with opened(ledger.superuser_url) as database:
        token = await keys.create(database, served.PEPPER, "bench", [Scope.SERVICE])
    start = partial(served.child, server, ledger)
    bare = (sys.executable, "-m", "ops.benchmarks.bare")
    async with start("bare", bare) as bare_port, start("serve", served.TALLYBOOK) as port:
        yield token, bare_port, port


def _account(accounts: int) -> int:
    return random.randint(1, accounts)  # noqa: S311 - it spreads the load


def spends(token: str, accounts: int) -> Iterator[bytes]:
    """Spends of 1, each under a key of its own."""
    while True:
        path = f"/api/v1/accounts/bench-{_account(accounts)}/spends"
        yield wrk.post(path, BODY, f"Authorization: Bearer {token}", wrk.key())


def reads(token: str, accounts: int) -> Iterator[bytes]:
    """Accounts, whole."""
    while True:
        path = f"/api/v1/accounts/bench-{_account(accounts)}"
        yield wrk.get(path, f"Authorization: Bearer {token}")


def bare_spends(accounts: int) -> Iterator[bytes]:
    """The same without a key."""
    while True:
        yield wrk.post(f"/spends/{_account(accounts)}", BODY)


def bare_reads(accounts: int) -> Iterator[bytes]:
    """The same without a key."""
    while True:
        yield wrk.get(f"/accounts/{_account(accounts)}")
