"""Spends and webhooks over HTTP, sent by wrk to bare handlers, this product, and the peers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from app.infrastructure.db import opened
from app.operators import keys
from app.operators.keys import Scope
from ops.benchmarks import http_spends, seed, served, webhooks, wrk
from ops.benchmarks.peers.rounds import Load, Rate, Row, in_turns
from ops.benchmarks.quiet import Machine
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.webhook_load import BEGAN, IGNORED, UPDATED, Bodies, updates

HERE: Final = Path(__file__).parent
CONNECTIONS: Final = (64, 1)
CUSTOMERS: Final = 1_000
ROUND_APART_S: Final = 1_000_000  # of the events' own time: no two rounds share a second

Ports = Mapping[str, int]


class Environments(msgspec.Struct, frozen=True):
    """Where the peers' packages are: a Python with FastAPI and dj-stripe, and Node's modules."""

    python: Path | None
    node: str | None
    modules: Path | None


async def spends(server: Server, peers: Environments, load: Load, machine: Machine) -> list[Row]:
    """Spends at many connections and at one."""
    ledger = await make_ledger(server, "peers_http")
    await seed.seed(ledger, load.accounts, load.accounts)
    async with opened(ledger.superuser_url) as database:
        token = await keys.create(database, served.PEPPER, "bench", [Scope.SERVICE])
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        bare = (sys.executable, "-m", "ops.benchmarks.bare")
        ports = {
            "a bare Litestar handler": await start(
                served.child(server, ledger, "peers-bare", bare)
            ),
            "Tallybook": await start(served.child(server, ledger, "peers-serve", served.TALLYBOOK)),
        }
        if peers.python is not None:
            naive = await make_ledger(server, "peers_naive")
            await _seed_naive(naive, load.accounts)
            ports["hand-built: FastAPI, SELECT FOR UPDATE"] = await start(
                served.child(
                    server, _as_superuser(naive), "peers-naive",
                    (str(peers.python), str(HERE / "naive.py")), PEER_TOKEN=token,
                )
            )  # fmt: skip
        rows = []
        for connections in CONNECTIONS:
            rates: dict[str, Rate] = {}
            for number, (who, port) in enumerate(ports.items()):
                requests = (
                    http_spends.spends(token, load.accounts)
                    if number  # the first is bare
                    else http_spends.bare_spends(load.accounts)
                )
                rates[who] = partial(_rate, port, requests, load, connections)
            case = f"spends by HTTP, connections: {connections}"
            rows += await in_turns(case, rates, load.rounds, machine)
        return rows


async def _seed_naive(ledger: Ledger, accounts: int) -> None:
    # Read, not imported: its own imports are not installed here.
    schema = (HERE / "naive.py").read_text().split('SCHEMA = """', 1)[1].split('"""', 1)[0]
    connection = await asyncpg.connect(ledger.superuser_url)
    try:
        await connection.execute(schema)
        await connection.execute(
            f"INSERT INTO users SELECT 'bench-' || n, {seed.CREDITS} "
            f"FROM generate_series(1, {accounts}) AS n"
        )
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def deliveries(
    server: Server, peers: Environments, load: Load, machine: Machine
) -> list[Row]:
    """Updates of subscriptions that move nothing, as most are, and events that are ignored."""
    ledger = await make_ledger(server, "peers_webhooks")
    await webhooks.subscribe(ledger, CUSTOMERS)
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        bare = (sys.executable, "-m", "ops.benchmarks.bare_webhook")
        ours = {
            "a bare Litestar handler": await start(
                served.child(server, ledger, "peers-bare-webhook", bare)
            ),
            "Tallybook": await start(
                served.child(server, ledger, "peers-serve-webhook", served.TALLYBOOK)
            ),
        }
        theirs: dict[str, int] = {}
        if peers.node is not None and peers.modules is not None:
            engine = _as_superuser(await make_ledger(server, "peers_sync_engine"))
            theirs["stripe-sync-engine"] = await start(
                served.child(
                    server, engine, "peers-sync-engine",
                    (peers.node, str(HERE / "sync_engine.mjs")), PEER_MODULES=str(peers.modules),
                )
            )  # fmt: skip
        if peers.python is not None:
            django = _as_superuser(await make_ledger(server, "peers_dj_stripe"))
            theirs["dj-stripe"] = await start(
                served.child(
                    server, django, "peers-dj-stripe",
                    (str(peers.python), str(HERE / "dj_stripe.py")),
                    PEER_EVENT=Bodies().update(1, "evt_1", int(BEGAN.timestamp())).decode(),
                )
            )  # fmt: skip
        parts = count(1)

        def rates(kind: str, ports: Ports) -> dict[str, Rate]:
            return {who: partial(_events, port, kind, load, parts) for who, port in ports.items()}

        # stripe-sync-engine answers an event of a type that it does not know with an error.
        return [
            *await in_turns(
                f"webhooks, {load.callers} connections", rates(UPDATED, {**ours, **theirs}),
                load.rounds, machine,
            ),
            *await in_turns(
                f"ignored webhooks, {load.callers} connections", rates(IGNORED, ours),
                load.rounds, machine,
            ),
        ]  # fmt: skip


async def _events(port: int, kind: str, load: Load, parts: Iterator[int]) -> float:
    first = int(BEGAN.timestamp()) + next(parts) * ROUND_APART_S
    return await _rate(port, updates(served.SECRET, CUSTOMERS, first, kind), load, load.callers)


async def _rate(port: int, requests: Iterator[bytes], load: Load, connections: int) -> float:
    return (await wrk.send(port, requests, load, connections)).rate


def _as_superuser(ledger: Ledger) -> Ledger:
    """A peer makes its own tables."""
    return Ledger(ledger.superuser_url, ledger.superuser_url)
