"""A run waits after a chunk while others use the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.infrastructure.clock import elapsed
from app.infrastructure.db import Database


class Pace:
    """One nudge's chunks, of which some may be under way side by side."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._under_way = 0
        self._looking = asyncio.Lock()  # a look beside this one would be taken for somebody else

    async def chunk(self, carry_out: Callable[[], Awaitable[int]]) -> int:
        """Carry it out, and rest for as long as it took where others wait for the same cores.

        What it did is returned. A day that comes a little later harms nobody: who spends before
        it comes opens it, and waits for the cores that a chunk has.
        """
        began = elapsed()
        self._under_way += 1
        try:
            done = await carry_out()
        finally:
            self._under_way -= 1
        if done and await self.others_at_work():
            await asyncio.sleep(elapsed() - began)
        return done

    async def others_at_work(self) -> bool:
        """Return whether transactions of this service other than our own chunks are open.

        Those of other roles are not seen without pg_read_all_stats, and not waited for.
        """
        async with self._looking:
            count: int = await self._database.fetchval(
                """SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend'
                      AND state IN ('active', 'idle in transaction') AND pid <> pg_backend_pid()"""
            )
            return count > self._under_way
