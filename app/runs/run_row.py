"""A run's row: begun once for each wave, counted chunk by chunk, done when its wave is.

A chunk's counts are added in the chunk's own transaction, so that a crash leaves them true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, NamedTuple

import structlog

from app.allowance.zones import Wave
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import RunNumber

log = structlog.get_logger("tallybook.run")


@dataclass(slots=True)
class Counted:
    """The counts of one chunk; ``gaps`` are accounts by (zone, the day before this one)."""

    issued: int = 0
    issued_credits: int = 0
    expired_credits: int = 0
    closed: int = 0
    gaps: Counter[tuple[str, date]] = field(default_factory=Counter)

    def open(self, credits: int) -> None:
        """One more account's day."""
        self.issued += 1
        self.issued_credits += credits


class Skipped(NamedTuple):
    """Accounts of a wave that the run does not open: dormant ones, and those that failed."""

    dormant: int
    failed: int


_USED: Final = """(SELECT count(*) FROM daily_grants WHERE day_on = $1 AND starts_at = $2
                      AND run_id IS NULL AND previous_on IS NOT NULL AND NOT after_dormancy)"""
_NEW: Final = """
INSERT INTO runs (day_on, wave_at, catalogue_id, state, started_by, started_at, expected)
SELECT $1, $2, $3, 'going', $4, tallybook_now()"""

# One statement, of a snapshot after the run's lock: whose day is opened meanwhile, by use or by a
# chunk, is counted once. $5 is how many are due, as far as is known: it need not be counted anew.
# Closed accounts are counted as the run comes to them: use may end their last day before it does.
_EXPECT: Final = f"""
UPDATE runs SET expected = greatest(expected, issued + skipped_closed + {_USED} + (
           SELECT count(*) FROM accounts
            WHERE due_at <= $3 AND day_ends_at <= $3 AND day_on < $1 AND closed_at IS NULL
              AND suspended_at IS NULL AND time_zone = ANY($4::text[])))
 WHERE day_on = $1 AND wave_at = $2 AND opening = 1
   AND expected < issued + skipped_closed + skipped_by_use + $5
"""


async def begin(
    database: Database, wave: Wave, catalogue_id: int, started_by: str, due: Mapping[str, int]
) -> RunNumber:
    """The wave's run, made or gone on with, in the caller's transaction; ``due`` is by zone.

    Those that use opened before it are expected too.
    """
    number: RunNumber = await database.fetchval(
        f"""{_NEW}, 0 ON CONFLICT (day_on, wave_at, opening)
                DO UPDATE SET state = 'going', finished_at = NULL RETURNING id""",
        *wave,
        catalogue_id,
        started_by,
    )
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    await database.execute(_EXPECT, *wave, now, list(due), sum(due.values()))
    return number


async def begin_missing(
    database: Database, waves: Collection[Wave], catalogue_id: int, started_by: str
) -> None:
    """Runs for waves of which nothing is due any more, where they have none; all or nothing."""
    async with database.transaction():
        for wave in sorted(waves):
            await database.execute(
                f"""{_NEW}, {_USED}
                     WHERE NOT EXISTS (SELECT FROM runs WHERE day_on = $1 AND wave_at = $2)
                    ON CONFLICT DO NOTHING""",
                *wave,
                catalogue_id,
                started_by,
            )


async def going(database: Database) -> dict[Wave, RunNumber]:
    """The runs that are not done, such as a crash leaves behind; not those that are run again."""
    rows = await database.fetch(
        "SELECT id, day_on, wave_at FROM runs WHERE state = 'going' AND opening = 1"
    )
    return {(row["day_on"], row["wave_at"]): row["id"] for row in rows}


async def add(database: Database, run_id: RunNumber, counted: Counted, took_ms: int) -> None:
    """Add a chunk's counts, as the last thing of its transaction: others wait for this row.

    And for it first: what two chunks add of the dates comes in no order of its own.
    """
    await database.execute(
        """UPDATE runs SET issued = issued + $2, issued_credits = issued_credits + $3,
                  expired_credits = expired_credits + $4, took_ms = took_ms + $6,
                  skipped_closed = skipped_closed + $5, skipped = skipped + $5
            WHERE id = $1""",
        run_id,
        counted.issued,
        counted.issued_credits,
        counted.expired_credits,
        counted.closed,
        took_ms,
    )
    await _add_gaps(database, run_id, "run", counted.gaps)


async def _add_gaps(
    database: Database, run_id: RunNumber, opened_by: str, gaps: Mapping[tuple[str, date], int]
) -> None:
    """Count the accounts with gaps: those of the run add up, those that use opened are counted
    again each time.
    """
    if not gaps:
        return
    keys = list(gaps)
    before = "run_not_opened.account_count + " if opened_by == "run" else ""
    await database.execute(
        f"""INSERT INTO run_not_opened (run_id, time_zone, day_on, opened_by, account_count)
            SELECT runs.id, gap.zone, missed::date, $2, sum(gap.account_count)
              FROM runs, unnest($3::text[], $4::date[], $5::bigint[])
                       AS gap (zone, previous_on, account_count),
                   generate_series(gap.previous_on + 1, runs.day_on - 1, interval '1 day')
                       AS missed
             WHERE runs.id = $1 GROUP BY runs.id, gap.zone, missed
            ON CONFLICT (run_id, time_zone, day_on, opened_by)
                DO UPDATE SET account_count = {before}excluded.account_count""",
        run_id,
        opened_by,
        [zone for zone, _ in keys],
        [on for _, on in keys],
        list(gaps.values()),
    )


async def finish(
    database: Database, run_id: RunNumber, due_count: int, skipped: Skipped | None
) -> None:
    """Count what use opened, and let the run be done where nothing of its wave is due.

    The caller's transaction holds the run's lock since before it counted what is due: a chunk
    that opens one more day was seen by that count, or waits and adds to what stands here.
    ``skipped`` is None where the wave is over: what it did not come to, it will not.
    """
    row = await database.fetchrow("SELECT * FROM runs WHERE id = $1", run_id)
    assert row is not None
    gaps = {
        (one["time_zone"], one["previous_on"]): one["account_count"]
        for one in await _by_use(database, run_id)
    }
    await _add_gaps(database, run_id, "use", gaps)
    stands = skipped or Skipped(row["skipped_dormant"], row["failed"])
    told = row["issued"] + row["skipped_closed"] + sum(gaps.values()) + sum(stands)
    over = max(0, row["expected"] - told) if skipped is None else 0
    finished = await database.fetchrow(
        """UPDATE runs SET
               expected = greatest(expected, $2), failed = $3,
               skipped = skipped_closed + $4 + $5 + $6,
               skipped_by_use = $4, skipped_dormant = $5, skipped_day_over = $6,
               not_opened = (SELECT coalesce(sum(account_count), 0) FROM run_not_opened
                              WHERE run_id = $1),
               state = CASE WHEN $7 THEN 'done' ELSE 'going' END,
               finished_at = CASE WHEN $7 THEN tallybook_now() END
            WHERE id = $1
           RETURNING id AS run, day_on::text AS on, state, expected, issued, failed, not_opened""",
        run_id,
        told,
        stands.failed,
        sum(gaps.values()),
        stands.dormant,
        over,
        due_count == 0,
    )
    assert finished is not None
    told_of = dict(finished)
    database.after_commit(lambda: log.info("run", **told_of))


async def _by_use(database: Database, run_id: RunNumber) -> Sequence[Record]:
    return await database.fetch(
        """SELECT daily_grants.time_zone, previous_on, count(*) AS account_count
             FROM runs JOIN daily_grants ON daily_grants.day_on = runs.day_on
                                        AND daily_grants.starts_at = runs.wave_at
            WHERE runs.id = $1 AND run_id IS NULL AND previous_on IS NOT NULL
              AND NOT after_dormancy GROUP BY daily_grants.time_zone, previous_on""",
        run_id,
    )


# One that failed keeps its run going, and is nothing that the run has yet to come to.
_LEFT: Final = """
SELECT CASE WHEN state = 'going' THEN greatest(0, expected - issued - skipped - failed) ELSE 0 END
  FROM runs WHERE id = $1
"""


async def left(database: Database, run_id: RunNumber) -> int | None:
    """Return how many accounts the run still has to come to; None if there is no such run."""
    count: int | None = await database.fetchval(_LEFT, run_id)
    return count


async def lock_settled(database: Database, run_id: RunNumber) -> int:
    """Return the same once every open chunk has committed; none commits until the caller does.

    A chunk's journals name the run, and a foreign key shares the lock of the row it names.
    """
    count: int = await database.fetchval(f"{_LEFT} FOR UPDATE", run_id)
    return count


async def lock(database: Database, run_id: RunNumber) -> None:
    """Let no chunk add to the run until the transaction ends."""
    await database.execute("SELECT FROM runs WHERE id = $1 FOR NO KEY UPDATE", run_id)


# ``not_opened_dates`` is a JSON list of {time_zone, on, accounts}.
ROWS: Final = """
SELECT runs.*, (
    SELECT coalesce(json_agg(json_build_object(
               'time_zone', time_zone, 'on', day_on, 'accounts', accounts)), '[]')::text
      FROM (SELECT time_zone, day_on, sum(account_count) AS accounts FROM run_not_opened
             WHERE run_id = runs.id GROUP BY time_zone, day_on
             ORDER BY time_zone, day_on) AS missed) AS not_opened_dates,
       whole.id AS reversal_id, whole.clawed AS clawed_credits, whole.shortfall AS short_credits
  FROM runs LEFT JOIN reversals AS whole ON whole.of_run_id = runs.id
"""


async def runs_of(database: Database, run_ids: Collection[RunNumber]) -> list[Record]:
    """The runs' rows with their dates, oldest first."""
    return await database.fetch(
        f"{ROWS} WHERE runs.id = ANY($1::bigint[]) ORDER BY runs.id", sorted(run_ids)
    )


async def listed(
    database: Database, *, after: int, horizon: int, limit: int, newest_first: bool
) -> list[Record]:
    """At most ``limit`` runs past ``after`` up to the horizon, in order of their ids."""
    way = (
        "runs.id < $1 AND runs.id <= $2 ORDER BY runs.id DESC"
        if newest_first
        else "runs.id > $1 AND runs.id <= $2 ORDER BY runs.id"
    )
    return await database.fetch(f"{ROWS} WHERE {way} LIMIT $3", after, horizon, limit)


async def runs_going(database: Database) -> list[Record]:
    """Return the same rows of the runs under way, also of those that are run again."""
    return await database.fetch(f"{ROWS} WHERE runs.state = 'going' ORDER BY runs.id")


async def not_opened_on(database: Database, on: date) -> int:
    """Return how many accounts runs have counted that had not opened this past date."""
    count: int = await database.fetchval(
        "SELECT coalesce(sum(account_count), 0)::bigint FROM run_not_opened WHERE day_on = $1", on
    )
    return count
