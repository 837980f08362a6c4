"""The horizon: the entry and the instant up to which nothing new can appear.

Within an account the order of ids is the order of commits; across accounts it is not. A list by id
must stop below the writers that still run. Otherwise its reader passes an id that commits later
and never sees it. Every list of an append-only table has a horizon: `Horizons.find` for entries,
`Horizons.of` for the others.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from app.errors import BusyError
from app.infrastructure.db import Database
from app.infrastructure.ids import EntryNumber

WAIT_SECONDS_MAX: Final = 1.0
_POLL_SECONDS: Final = 0.005
FLOOR_AGE_MAX: Final = timedelta(milliseconds=100)
_MICROSECOND: Final = timedelta(microseconds=1)

# The transactions that may still commit an id that they drew. A writer of entries locks its rows
# of accounts before it draws; one that begins a run takes the advisory lock of the trigger
# `mark_adding`; any other draws while it holds the lock of its own table.
# xmin and xmax would not be enough. A snapshot's xmax is the youngest transaction that ended, plus
# one, so a younger one that still runs is above it; and every other database of the cluster holds
# xmin back.
_WRITERS: Final = """
SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
 WHERE locktype = 'relation' AND relation = $1::text::regclass
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND mode IN ('RowShareLock', 'RowExclusiveLock') AND pid <> pg_backend_pid()
"""
_BEGINNERS: Final = """
SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
 WHERE locktype = 'advisory' AND classid = $1::text::regclass AND objid = 0 AND objsubid = 2
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND pid <> pg_backend_pid()
"""
_STILL_WRITING: Final = """
SELECT EXISTS (SELECT FROM pg_locks
                WHERE locktype = 'virtualxid' AND virtualtransaction = ANY($1::text[]))
"""


# Other append-only lists, with the column that orders them.
LISTS: Final = {
    "alerts": "id",
    "events": "number",
    "operator_acts": "id",
    "reversals": "id",
    "runs": "id",
    "transitions": "id",
    "webhook_messages": "id",
}


class Horizon(msgspec.Struct, frozen=True):
    """Every entry up to ``entry_id`` is decided, and every one recorded by ``complete_to``."""

    entry_id: EntryNumber
    complete_to: datetime


class Horizons:
    """Finds the horizon; remembers the last one for when a slow writer delays the next."""

    def __init__(self) -> None:
        self._last: Horizon | None = None
        self._last_of: dict[str, int] = {}

    async def find(self, database: Database) -> Horizon:
        """Return the horizon now; wait up to a second for what was committed before the call.

        Raises BusyError if a writer took longer and no earlier horizon is known, or if the server
        is a standby.
        """
        # First the floor: whoever locks an account from now on records nothing before it.
        floor = await raise_floor(database)
        drawn = await _drawn(database, "entries_id_seq")
        # A second statement: every transaction that has an id by then held its account's lock
        # already.
        if not await _writers_end(database, "accounts"):
            if self._last is None:
                raise BusyError("A writer is taking long; ask again.")
            return self._last
        entry_id = EntryNumber(drawn)
        self._last = Horizon(entry_id, await _complete_to(database, entry_id, floor))
        return self._last

    async def of(self, database: Database, table: str) -> int:
        """Return the highest number in one of `LISTS` below which no row can still commit.

        Waits up to a second as `find` does, and raises BusyError like it.
        """
        drawn = await _drawn(database, f"{table}_{LISTS[table]}_seq")
        if await _writers_end(database, table):
            self._last_of[table] = drawn
        elif table not in self._last_of:
            raise BusyError("A writer is taking long; ask again.")
        return self._last_of[table]


async def _drawn(database: Database, sequence: str) -> int:
    """Return the last number of a sequence; raise BusyError on a standby.

    A standby's pg_locks shows no writer of the primary, and its last_value may be 32 ahead: an
    export named a complete_to, and entries from before it arrived later.
    """
    row = await database.fetchrow(
        f"""SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last,
                   pg_is_in_recovery() AS in_recovery FROM {sequence}"""
    )
    assert row is not None
    if row["in_recovery"]:
        raise BusyError("This server is a standby and knows no horizon: ask the primary.")
    last: int = row["last"]
    return last


async def _writers_end(database: Database, table: str) -> bool:
    """Return whether all present writers of the table ended within the time that a read waits."""
    writers = await database.fetchval(_BEGINNERS if table == "runs" else _WRITERS, table)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + WAIT_SECONDS_MAX
    while writers:
        if not await database.fetchval(_STILL_WRITING, writers):
            break
        if loop.time() >= ends_at:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def raise_floor(database: Database) -> datetime:
    """Return the book's floor, raised to now if it is older than a tenth of a second.

    Each writer reads it under its account's lock and records nothing before it, even if the clock
    steps back. So what was declared complete stays complete.
    """
    row = await database.fetchrow("SELECT floor, tallybook_now() AS now FROM book")
    assert row is not None
    floor: datetime = row["floor"]
    if row["now"] - floor < FLOOR_AGE_MAX:
        return floor  # recent enough, or the clock stepped back
    try:
        raised: datetime | None = await database.fetchval(
            "UPDATE book SET floor = $1 WHERE floor < $1 RETURNING floor", row["now"]
        )
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
        return floor  # an auditor's own login cannot raise it; the server's reads do
    return raised or await database.fetchval("SELECT floor FROM book")


async def _complete_to(database: Database, entry_id: EntryNumber, floor: datetime) -> datetime:
    """The last instant of which no entry lies above the horizon.

    A transaction that ran when the floor was raised may have read the clock before that and drawn
    its id after it; and more may still be recorded at the floor itself.
    """
    above: datetime | None = await database.fetchval(
        "SELECT min(recorded_at) FROM entries WHERE id > $1", entry_id
    )
    return min(floor, above or floor) - _MICROSECOND
