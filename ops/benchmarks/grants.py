"""A day for many accounts through the run, beside the same rows written by raw SQL."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Final

import asyncpg

from app.book import Book
from app.infrastructure.db import Database, opened
from app.runs.run import run_due
from ops.benchmarks import grants_seed
from ops.benchmarks.figures import Figure, below, plain
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.sizes import Sizes
from ops.benchmarks.spends import call_under_test, order_of

FLOOR_MAX: Final = 2.0
TRANSACTION_S_MAX: Final = 1.0
SECOND_RUN_MAX: Final = 0.1
P99_MAX: Final = 3.0
GROWTH_MAX: Final = 1.5
MEMORY_MAX: Final = 1.2
SPENDS_PER_S: Final = 200
LOOKS: Final = 3
AT_ONCE: Final = max(2, os.cpu_count() or 1)
RUN_S_MAX: Final = 1_200.0
LOOK_S: Final = 0.02
ROOT: Final = Path(__file__).parents[2]


async def measure(server: Server, sizes: Sizes) -> list[Figure]:
    """The small ledger warms up and tells the cost of one account; the large one is the day."""
    small = await make_ledger(server, "grants_small")
    large = await make_ledger(server, "grants_large")
    floor = await make_ledger(server, "grants_floor")
    await grants_seed.seed(small, sizes.grant_accounts)
    await grants_seed.seed(large, sizes.grant_accounts_max)
    await grants_seed.seed(floor, sizes.grant_accounts_max)
    few, many = sizes.grant_accounts, sizes.grant_accounts_max
    # The first days warm everything up; the small ledger's cost is the median of three more.
    costs = [await _day(small, few, number) for number in range(1, 5)][1:]
    floor_s = await _floor_day(floor, many, 1)
    memory = _memory_mib()
    async with _longest_transaction(large) as longest:
        large_s = await _day(large, many, 1)
    grown = _memory_mib()
    second_s = await _nothing_due(large)
    cost = sorted(costs)[1] / few
    # The floor's accounts have their day too, and can have the next.
    side_by_side_s = await _day(floor, many, 2, AT_ONCE)
    await grants_seed.tidy(large)
    spends = await _spends(large, sizes)
    return [
        plain(f"a day for {many} accounts", many / large_s, "accounts/s"),
        plain(f"a day, {AT_ONCE} chunks side by side", many / side_by_side_s, "accounts/s"),
        below(f"a day for {many} accounts", "s", FLOOR_MAX, [(floor_s, large_s)]),
        below("longest transaction of that day", "s", TRANSACTION_S_MAX, [(1.0, longest[0])]),
        below("a second run, beside the first", "s", SECOND_RUN_MAX, [(large_s, second_s)]),
        below(
            f"cost of an account, {few} to {many}", "µs", GROWTH_MAX,
            [(cost * 1e6, large_s / many * 1e6)],
        ),
        below("memory at its peak, beside before the day", "MiB", MEMORY_MAX, [(memory, grown)]),
        below(f"p99 of {SPENDS_PER_S} spends/s while a day is opened", "ms", P99_MAX, spends),
    ]  # fmt: skip


async def _day(ledger: Ledger, accounts: int, number: int, at_once: int = 1) -> float:
    """Seconds to open the day through the run."""
    async with opened(ledger.application_url, at_once + 1) as database:
        await grants_seed.move_to_day(database, number)
        return await _seconds(_open_all(database, accounts, number, at_once))


async def _open_all(database: Database, accounts: int, number: int, at_once: int) -> None:
    book = Book(database)
    ticked = await run_due(database, book.catalogues, "bench", RUN_S_MAX, at_once=at_once)
    issued = await database.fetchval("SELECT sum(issued) FROM runs WHERE id = ANY($1::bigint[])",
                                     ticked.run_ids)  # fmt: skip
    if not ticked.done or issued != accounts:
        raise RuntimeError(f"Day {number}: {issued} of {accounts} accounts were opened.")


async def _floor_day(ledger: Ledger, accounts: int, number: int) -> float:
    async with opened(ledger.application_url) as database:
        return await _seconds(grants_seed.open_by_floor(database, accounts, number))


async def _nothing_due(ledger: Ledger) -> float:
    async with opened(ledger.application_url) as database:
        before = await database.fetchval("SELECT max(id) FROM entries")
        seconds = await _seconds(run_due(database, Book(database).catalogues, "bench", RUN_S_MAX))
        if await database.fetchval("SELECT max(id) FROM entries") != before:
            raise RuntimeError("The second run issued something.")
        return seconds


async def _seconds(act: Awaitable[object]) -> float:
    started = time.perf_counter()
    await act
    return time.perf_counter() - started


def _memory_mib() -> float:
    """The most this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1_048_576 if sys.platform == "darwin" else 1_024)


@asynccontextmanager
async def _longest_transaction(ledger: Ledger) -> AsyncIterator[list[float]]:
    """How old a transaction of the ledger ever was, looked at fifty times a second."""
    longest = [0.0]
    connection = await asyncpg.connect(ledger.superuser_url)

    async def look() -> None:
        while True:
            age = await connection.fetchval(
                """SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
                          ::float
                     FROM pg_stat_activity WHERE datname = current_database()
                      AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
            )
            longest[0] = max(longest[0], age)
            await asyncio.sleep(LOOK_S)

    looking = asyncio.create_task(look())
    try:
        yield longest
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await connection.close()


async def _spends(ledger: Ledger, sizes: Sizes) -> list[tuple[float, float]]:
    """The p99 in ms: idle, and while another process opens the next day for as long.

    Several looks at each, since a checkpoint before the first, or a neighbour on the machine,
    would decide a single one.
    """
    # Each account in turn: drawn at random, one would be spent empty in a small ledger.
    accounts = sizes.grant_accounts_max
    turns = cycle(random.sample(range(1, accounts + 1), accounts))
    async with opened(ledger.application_url, 16) as database:
        await _p99_ms(database, turns, sizes.warm_up_s)
        idle = [await _p99_ms(database, turns, sizes.grant_spends_s) for _ in range(LOOKS)]
        await grants_seed.move_to_day(database, 2)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "grants", "run", cwd=ROOT,
            env={**os.environ, "DATABASE_URL": ledger.application_url, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        busy: list[float] = []
        try:
            await _begun(database)
            for _ in range(LOOKS):
                look = await _p99_ms(database, turns, sizes.grant_spends_s)
                over = process.returncode is not None
                if not (over and busy):
                    busy.append(look)
                if over:  # before the look's end
                    break
            return list(zip(idle, busy, strict=False))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _begun(database: Database) -> None:
    """Until the other process has opened a day."""
    ends_at = time.monotonic() + 60
    while not await database.fetchval("SELECT issued > 0 FROM runs ORDER BY id DESC LIMIT 1"):
        if time.monotonic() > ends_at:
            raise RuntimeError("`tallybook grants run` opened nothing within a minute.")
        await asyncio.sleep(LOOK_S)


async def _p99_ms(database: Database, turns: Iterator[int], seconds: float) -> float:
    """Spends come at their rate whether or not those before them are done."""
    call = call_under_test(Book(database))
    taken: list[float] = []

    async def one() -> None:
        taken.append(await _seconds(call(order_of(next(turns)))) * 1_000)

    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(max(1, round(SPENDS_PER_S * seconds))):
            await asyncio.sleep(max(0.0, started + number / SPENDS_PER_S - time.monotonic()))
            group.create_task(one())
    return sorted(taken)[int(len(taken) * 0.99)]
