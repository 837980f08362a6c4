"""Seals: entries sealed a second, proofs, evidence files, and spends with a sealer at work."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from app.book import Book
from app.infrastructure.db import Database, opened
from app.seals import log_tree, sealer, stored
from app.seals.evidence import evidence, written
from app.seals.notes import new_private_key
from ops.benchmarks import seed, spends
from ops.benchmarks.figures import Figure, at_least, below, plain
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.sizes import Sizes
from ops.verify_evidence import verify

ACCOUNT_ENTRIES: Final = 1_000
KEY: Final = new_private_key("bench.example")
SEALED_WITHIN_S: Final = 15.0  # for a million entries
PROOF_MS_MAX: Final = 20.0
FILE_S_MAX: Final = 1.0
# Spends beside a sealer lose no more than two equal runs differ, 10 % at most.
SPENDS_BOUND: Final = 0.9
SEAL_EACH_S: Final = 1.0  # a tick seals each minute


async def measure(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    """All of it; ``ledger`` is the one of the spends."""
    beside = await _beside_spends(ledger, sizes)
    sealing = await make_ledger(server, "ledger_of_seals")
    accounts = max(1, sizes.seal_entries // ACCOUNT_ENTRIES)
    await seed.seed(sealing, accounts, sizes.seal_entries)
    async with opened(sealing.application_url) as database:
        started, worked = time.monotonic(), time.process_time()
        size = await sealer.seal(Book(database, seal_keys=(KEY,)), float("inf"))
        seconds, worked = time.monotonic() - started, time.process_time() - worked
        assert size == sizes.seal_entries
        limit = SEALED_WITHIN_S * size / 1_000_000
        return [
            below(f"sealing {size} entries of {accounts} accounts", "s", 1.0, [(limit, seconds)]),
            plain("of which the sealer's own processor time", worked, "s"),
            plain("entries sealed", size / seconds, "entries/s"),
            *await _proofs(database, size, sizes),
            beside,
        ]


async def _proofs(database: Database, size: int, sizes: Sizes) -> list[Figure]:
    async def proof() -> object:
        path = log_tree.inclusion_path(random.randrange(size), size)  # noqa: S311 - spreads
        return await stored.hashes_of(database, path)

    async def file() -> bytes:
        return written(await evidence(database, "bench-1", [1]))

    data = await file()
    started = time.monotonic()
    verify(data)
    checked = time.monotonic() - started
    proofs = [(PROOF_MS_MAX, 1000 * await _seconds(proof)) for _ in range(sizes.reads)]
    files = [(FILE_S_MAX, await _seconds(file)) for _ in range(3)]
    count = data.count(b'"index"')
    return [
        below("inclusion proof", "ms", 1.0, proofs),
        below(f"evidence file of {count} entries, made", "s", 1.0, files),
        below(f"evidence file of {count} entries, checked", "s", 1.0, [(FILE_S_MAX, checked)]),
        plain("evidence file", len(data) / 2**20, "MiB"),
    ]


async def _seconds(act: Callable[[], Awaitable[object]]) -> float:
    started = time.monotonic()
    await act()
    return time.monotonic() - started


async def _beside_spends(ledger: Ledger, sizes: Sizes) -> Figure:
    """Spends while nothing seals, and while all of them are sealed each second, in turn."""
    async with opened(ledger.application_url) as database:
        book = Book(database, seal_keys=(KEY,))
        rounds = []
        for _ in range(sizes.rounds):
            await sealer.seal(book, float("inf"))
            without = await spends.rate(ledger, sizes)
            # What was spent without it is sealed first: the round with it has its own to seal.
            await sealer.seal(book, float("inf"))
            async with _sealer(ledger):
                with_sealer = await spends.rate(ledger, sizes)
            rounds.append((without, with_sealer))
    name = f"spends by the Python call, sealed each {SEAL_EACH_S:.0f} s, beside unsealed ones"
    return at_least(name, "spends/s", SPENDS_BOUND, rounds)


@asynccontextmanager
async def _sealer(ledger: Ledger) -> AsyncIterator[None]:
    """A process that seals, as a worker does, for the length of a block, which begins once it has
    started.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.benchmarks.seals", ledger.application_url, KEY),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _seal_on(url: str, key: str) -> None:
    async with opened(url, 1) as database:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            await sealer.seal(Book(database, seal_keys=(key,)), 60)
            await asyncio.sleep(SEAL_EACH_S)


if __name__ == "__main__":
    asyncio.run(_seal_on(*sys.argv[1:]))
