"""The clock: the database's, so that all processes agree; in development it can be set."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from app.infrastructure.db import Database

# Any date PostgreSQL and Python both hold; used for what never comes due.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


def elapsed() -> float:
    """Seconds of this process, which only go on: to measure with, no time of day."""
    return time.monotonic()


async def now(database: Database) -> datetime:
    """This instant in UTC, microseconds."""
    instant: datetime = await database.fetchval("SELECT tallybook_now()")
    return instant


async def standing(database: Database) -> datetime | None:
    """Return the instant at which a development clock stands; None if time runs."""
    instant: datetime | None = await database.fetchval("SELECT standing_at FROM dev_clock")
    return instant


async def stand(database: Database, instant: datetime) -> datetime:
    """Set the development clock, which never goes back; returns where it stands now."""
    return await database.fetchval(  # type: ignore[no-any-return]
        """INSERT INTO dev_clock (standing_at) VALUES ($1)
           ON CONFLICT (only_row) DO UPDATE
              SET standing_at = greatest(tallybook_now(), excluded.standing_at)
           RETURNING standing_at""",
        instant,
    )


async def run_on(database: Database) -> None:
    """Let a standing clock run on from where it stands."""
    await database.execute(
        """UPDATE dev_clock SET ahead = standing_at - clock_timestamp(), standing_at = NULL
            WHERE standing_at IS NOT NULL"""
    )


async def ahead(database: Database) -> tuple[datetime, timedelta]:
    """The book's time, and how far that is ahead of the world's."""
    row = await database.fetchrow(
        "SELECT tallybook_now() AS now, tallybook_now() - clock_timestamp() AS ahead"
    )
    assert row is not None
    return row["now"], row["ahead"]
