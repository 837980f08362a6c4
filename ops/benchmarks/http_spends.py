"""A spend over HTTP through the real service, beside a bare handler under the same server."""

from __future__ import annotations

import sys

from app.infrastructure.db import opened
from app.operators import keys
from app.operators.keys import Scope
from ops.benchmarks import served
from ops.benchmarks.figures import Figure, at_least
from ops.benchmarks.load import Load
from ops.benchmarks.server import Ledger, Server
from ops.benchmarks.sizes import Sizes


async def measure(server: Server, ledger: Ledger, sizes: Sizes) -> Figure:
    """Authenticated, validated, idempotent, against none of it."""
    async with opened(ledger.superuser_url) as database:
        token = await keys.create(database, served.PEPPER, "bench", [Scope.SERVICE])
    bare = (sys.executable, "-m", "ops.benchmarks.bare")
    async with (
        served.child(server, ledger, "bare", bare) as bare_port,
        served.child(server, ledger, "serve", served.TALLYBOOK) as port,
    ):
        bare_load = load_of(sizes, token, bare_port, "/spends/{account}")
        load = load_of(sizes, token, port, "/api/v1/accounts/bench-{account}/spends")
        rounds = []
        for _ in range(sizes.rounds):
            rounds.append((await rate(bare_load), await rate(load)))
    return at_least(f"spends by HTTP, {sizes.callers} connections", "spends/s", 0.5, rounds)


def load_of(sizes: Sizes, token: str, port: int, path: str) -> Load:
    """What is sent to one server."""
    return Load(
        port=port,
        path=path,
        token=token,
        accounts=sizes.accounts,
        connections=sizes.callers,
        warm_up_s=sizes.warm_up_s,
        seconds=sizes.round_s,
    )


async def rate(load: Load) -> float:
    """Calls in a second, once warm."""
    return await served.send("ops.benchmarks.load", load)
