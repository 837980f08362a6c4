"""The horizon: up to which entry, and which instant, nothing can still commit.

Within an account the order of ids is the order of commits; across accounts it is not. Whoever
lists entries by id must stop below what is still under way, or skip it for ever.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

import msgspec

from app.db import Database
from app.errors import BusyError

WAIT_SECONDS_MAX: Final = 1.0
_POLL_SECONDS: Final = 0.005
_MICROSECOND: Final = timedelta(microseconds=1)


class Horizon(msgspec.Struct, frozen=True):
    """Every entry up to ``entry_id``, and all recorded by ``complete_to``, has been decided."""

    entry_id: int
    complete_to: datetime


class Horizons:
    """Finds the horizon; remembers the last, for when a slow writer holds up the next."""

    def __init__(self) -> None:
        self._last: Horizon | None = None

    async def find(self, database: Database) -> Horizon:
        """The horizon now; waits up to a second for what was committed before the caller came.

        Raises BusyError where a writer took longer and no earlier horizon is known.
        """
        marked = await database.fetchrow(
            "SELECT last_value, is_called, tallybook_now() AS now FROM entries_id_seq"
        )
        assert marked is not None
        # A second statement: whoever drew an id by then had its transaction id already, and so
        # it is below this one. A snapshot's xmax would not do: it is the youngest transaction
        # that ended, plus one, and a younger one that still runs is not below it.
        own = await database.fetchval("SELECT pg_current_xact_id()::text::bigint")
        if not await self._passed(database, own):
            if self._last is None:
                raise BusyError("A writer is taking long; ask again.")
            return self._last
        entry_id = marked["last_value"] if marked["is_called"] else 0
        self._last = Horizon(entry_id, await _complete_to(database, entry_id, marked["now"]))
        return self._last

    async def _passed(self, database: Database, transaction_id: int) -> bool:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + WAIT_SECONDS_MAX
        while True:
            xmin = await database.fetchval(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            )
            if xmin >= transaction_id:
                return True
            if loop.time() >= ends_at:
                return False
            await asyncio.sleep(_POLL_SECONDS)


async def _complete_to(database: Database, entry_id: int, now: datetime) -> datetime:
    """The last instant of which no entry lies above the horizon.

    Who was under way at ``now`` may have read the clock before and drawn its id after; and
    under a standing clock more may yet be recorded at ``now`` itself.
    """
    above: datetime | None = await database.fetchval(
        "SELECT min(recorded_at) FROM entries WHERE id > $1", entry_id
    )
    return min(now, above or now) - _MICROSECOND
