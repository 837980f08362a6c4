"""Checks after the load: all that was acknowledged is in the ledger once, and nothing hangs."""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import msgspec

from app.embedded.devbook import DevBook
from app.infrastructure.db import opened
from app.simulate.book_client import BookClient
from app.spending.queue import CONNECTIONS
from app.verify.verify import verify
from ops.soak.book import POOL_SIZE_MAX
from ops.soak.load import Acknowledged
from ops.soak.watch import Watch, connections

SETTLE_S_MAX: Final = 30.0
BURST: Final = 8 * POOL_SIZE_MAX
WORKER_POOL_SIZE_MAX: Final = 6
SHOWN_MAX: Final = 3


class Check(msgspec.Struct, frozen=True):
    """A line of the report: a rule, and what was found."""

    name: str
    found: str
    holds: bool


async def check(
    book: DevBook, client: BookClient, done: Acknowledged, watch: Watch, faults: list[str]
) -> list[Check]:
    """Run all checks on a book whose load has ended."""
    connection = await asyncpg.connect(book.database_url)
    try:
        return [
            Check("no answer was 500", "; ".join(faults[:SHOWN_MAX]) or "none", not faults),
            await _spends(connection, done),
            await _events(connection, done),
            await _verified(book),
            await _queued(connection),
            await _burst(client),
            await _idle(connection),
            *(
                Check(
                    f"memory of the {one.program} is flat",
                    f"{one.early_mib:g} → {one.late_mib:g} MiB",
                    one.flat,
                )
                for one in watch.growth()
            ),
        ]
    finally:
        await connection.close()


async def _spends(connection: asyncpg.Connection, done: Acknowledged) -> Check:
    rows = await connection.fetch(
        """SELECT idempotency_key AS key, sum(amount) AS amount
             FROM journals JOIN entries ON entries.journal_id = journals.id
            WHERE journals.kind = 'spend' AND entries.kind = 'spend' GROUP BY 1"""
    )
    stand = {row["key"]: int(row["amount"]) for row in rows}
    lost = sorted(key for key, amount in done.spends.items() if stand.get(key) != amount)
    extra = sorted(stand.keys() - done.spends.keys())
    return Check(
        "every acknowledged spend stands once, and no other",
        f"{len(done.spends):,} acknowledged, {len(stand):,} in the ledger{_shown(lost + extra)}",
        not lost and not extra,
    )


async def _events(connection: asyncpg.Connection, done: Acknowledged) -> Check:
    rows = await connection.fetch("SELECT id FROM events")
    lost = sorted(done.events - {row["id"] for row in rows})
    found = f"{len(done.events):,} acknowledged, {len(rows):,} in the inbox{_shown(lost)}"
    return Check("every acknowledged event is in the inbox", found, not lost)


async def _verified(book: DevBook) -> Check:
    async with opened(book.database_url) as database:
        checks = await verify(database)
    wrong = [text for one in checks for text in one.differences]
    rows = sum(one.rows for one in checks)
    return Check("the ledger verifies", f"{rows:,} rows, {len(wrong)} differences", not wrong)


async def _queued(connection: asyncpg.Connection) -> Check:
    count = await connection.fetchval(
        "SELECT count(*) FROM events WHERE verdict IN ('queued', 'parked')"
    )
    return Check("no event is queued or parked", f"{count}", count == 0)


async def _burst(client: BookClient) -> Check:
    """Call more often at once than there are connections: a leaked one would hang some calls."""
    answers = await asyncio.wait_for(
        asyncio.gather(*(client.account("n0") for _ in range(BURST))), SETTLE_S_MAX
    )
    good = sum(answer is not None for answer in answers)
    return Check("a burst at the end is answered", f"{good} of {BURST}", good == BURST)


async def _idle(connection: asyncpg.Connection) -> Check:
    """Check that every connection is back in its pool: idle, and no more than the pools hold."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + SETTLE_S_MAX
    while True:
        held = await connections(connection)
        wrong = {who for who in held if not who.endswith(", idle")}
        fits = sum(held.values()) <= POOL_SIZE_MAX + CONNECTIONS + WORKER_POOL_SIZE_MAX
        if (fits and not wrong) or loop.time() > ends_at:
            told = "; ".join(f"{who}: {count}" for who, count in sorted(held.items())) or "none"
            return Check("no connection is leaked", told, fits and not wrong)
        await asyncio.sleep(0.5)


def _shown(keys: list[str]) -> str:
    return f"; wrong: {', '.join(keys[:SHOWN_MAX])}" if keys else ""
