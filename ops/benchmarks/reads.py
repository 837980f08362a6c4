"""What an auditor reads of a large ledger, beside the same of a small one."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from app.audit import balance, cursor, entries
from app.audit.entries import PAGE_SIZE_MAX, EntryQuery, OfAccount
from app.audit.horizon import Horizons
from app.infrastructure.db import Database, opened
from ops.benchmarks import seed
from ops.benchmarks.figures import Figure, below, plain
from ops.benchmarks.server import Server, make_ledger
from ops.benchmarks.sizes import Sizes

# The same in both ledgers, so that each account's history grows as the ledger does.
ACCOUNTS: Final = 1_000
SHORT_PAGE: Final = 50  # the small ledger has twice as many of each account
DEPTHS: Final = (0.0, 0.5, 1.0)
GROWTH_MAX: Final = 2.0
SEEDED_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)

Read = Callable[[Database, Horizons, int, float], Awaitable[object]]


async def balance_as_of(database: Database, horizons: Horizons, size: int, depth: float) -> object:
    """The balance of any account at an instant of the ledger's history, by what lies before it."""
    account = random.randint(1, min(ACCOUNTS, size))  # noqa: S311 - it spreads the load
    instant = SEEDED_FROM + timedelta(milliseconds=int(size * depth))
    return await balance.balance(database, horizons, f"bench-{account}", instant)


async def page(database: Database, horizons: Horizons, size: int, depth: float) -> object:
    """A full page of all entries."""
    after = int(max(0, size - PAGE_SIZE_MAX) * depth)
    return await _page(database, horizons, EntryQuery(), after, PAGE_SIZE_MAX)


async def page_of_account(
    database: Database, horizons: Horizons, size: int, depth: float
) -> object:
    """A short page of one account's entries, which lie far apart."""
    account = random.randint(1, min(ACCOUNTS, size))  # noqa: S311 - it spreads the load
    after = int(max(0, size - SHORT_PAGE * ACCOUNTS) * depth)
    query = EntryQuery(of_account=OfAccount(f"bench-{account}", (account,)))
    return await _page(database, horizons, query, after, SHORT_PAGE)


async def _page(
    database: Database, horizons: Horizons, query: EntryQuery, after: int, limit: int
) -> object:
    mark = cursor.encode(str(after), query.asked) if after else None
    return await entries.page(database, horizons, query, mark, limit)


READS: Final[Mapping[str, Read]] = {
    "balance as of": balance_as_of,
    f"page of {PAGE_SIZE_MAX} entries": page,
    f"page of {SHORT_PAGE} entries of an account": page_of_account,
}


async def growth(server: Server, sizes: Sizes) -> list[Figure]:
    """Each read's time at each depth of both ledgers, in turn; the seeding's rate beside it."""
    small = await make_ledger(server, "ledger_small")
    large = await make_ledger(server, "ledger_large")
    await seed.seed(small, min(ACCOUNTS, sizes.entries), sizes.entries)
    started = time.monotonic()
    await seed.seed(large, min(ACCOUNTS, sizes.entries), sizes.entries_max)
    seeded = sizes.entries_max / (time.monotonic() - started)
    figures = [plain(f"seeding {sizes.entries_max} entries, indexes and all", seeded, "entries/s")]
    async with opened(small.application_url) as one, opened(large.application_url) as other:
        ledgers = ((one, Horizons(), sizes.entries), (other, Horizons(), sizes.entries_max))
        for name, read in READS.items():
            for depth in DEPTHS:
                figures.append(await _growth(name, read, depth, sizes, ledgers))
    return figures


Ledgers = tuple[tuple[Database, Horizons, int], tuple[Database, Horizons, int]]


async def _growth(name: str, read: Read, depth: float, sizes: Sizes, ledgers: Ledgers) -> Figure:
    small, large = ledgers
    await _ms(read, depth, sizes.reads, *small)
    await _ms(read, depth, sizes.reads, *large)
    rounds = [
        (
            await _ms(read, depth, sizes.reads, *small),
            await _ms(read, depth, sizes.reads, *large),
        )
        for _ in range(sizes.rounds)
    ]
    growing = f"{sizes.entries} to {sizes.entries_max} entries"
    return below(f"{name} at depth {depth:.0%}, {growing}", "ms", GROWTH_MAX, rounds)


async def _ms(
    read: Read, depth: float, count: int, database: Database, horizons: Horizons, size: int
) -> float:
    """The median of so many calls."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        await read(database, horizons, size, depth)
        taken.append((time.perf_counter() - started) * 1_000)
    return median(taken)
