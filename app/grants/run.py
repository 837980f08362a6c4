"""The daily run: open the day of every account for which it is due, chunk by chunk.

PostgreSQL decides what is due and that it happens once; whoever calls, a tick, a cron from
outside or two of them at once, only nudges. A run is one wave: the accounts whose day of one
date starts at one instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
import structlog

from app.db import Database, Record
from app.errors import TallybookError
from app.grants import bulk, load
from app.grants.catalogues import Catalogues
from app.grants.day import Origin, Wave
from app.grants.zones import Day, day_of

log = structlog.get_logger(__name__)

CHUNK_ACCOUNTS: Final = 500


class Ticked(msgspec.Struct, frozen=True):
    """The runs that were worked on, and whether nothing is due any more."""

    run_ids: list[int]
    done: bool


async def run_due(
    database: Database, catalogues: Catalogues, started_by: str, within_s: float
) -> Ticked:
    """Post all that is due, for as long as ``within_s``; the next call goes on from there.

    An account that fails costs no other its day: it is logged, counted and tried at each call.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within_s
    due = await _due_days(database)
    runs = await _begin_runs(database, catalogues, started_by, due)
    for zone, (day, _) in due.items():
        run_id = runs[day.on, day.starts_at]
        while loop.time() < ends_at and await _bulk(
            database, catalogues, zone, day, run_id, started_by
        ):
            continue
    passing = _Passing(database, catalogues, Origin("grants", started_by), runs)
    while loop.time() < ends_at and await passing.chunk():
        continue
    # Another nudge may be at work on rows that this one skipped.
    done = not await database.fetchval(
        """SELECT EXISTS (SELECT FROM accounts
                           WHERE due_at <= tallybook_now() AND id <> ALL($1::bigint[]))""",
        list(passing.failed),
    )
    run_ids = sorted(runs.values())
    await _count(database, run_ids, passing.failed_of_run(due), finished=done)
    return Ticked(run_ids, done)


async def _bulk(
    database: Database, catalogues: Catalogues, zone: str, day: Day, run_id: int, started_by: str
) -> int:
    """A chunk by the set-based way; 0 where none is left or the chunk failed."""
    try:
        return await bulk.open_days(database, catalogues, zone, day, run_id, started_by)
    except asyncpg.IntegrityConstraintViolationError:
        log.exception("chunk_failed", zone=zone)  # which account it was, the other way finds out
        return 0


async def _due_days(database: Database) -> dict[str, tuple[Day, int]]:
    """The day that is to be opened in each zone, and of how many accounts."""
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    rows = await database.fetch(
        """SELECT time_zone, count(*) AS account_count FROM accounts
            WHERE due_at <= $1 AND day_ends_at <= $1 AND closed_at IS NULL GROUP BY time_zone""",
        now,
    )
    return {row["time_zone"]: (day_of(row["time_zone"], now), row["account_count"]) for row in rows}


async def _begin_runs(
    database: Database,
    catalogues: Catalogues,
    started_by: str,
    due: Mapping[str, tuple[Day, int]],
) -> dict[Wave, int]:
    """The runs of all waves that are due now, and of those that a crash left going."""
    waves: dict[Wave, int] = {}
    for day, account_count in due.values():
        wave = (day.on, day.starts_at)
        waves[wave] = waves.get(wave, 0) + account_count
    catalogue_id, _ = await catalogues.present(database)
    runs = {
        wave: await _begin_run(database, wave, catalogue_id, started_by, expected)
        for wave, expected in waves.items()
    }
    for row in await database.fetch("SELECT id, day_on, wave_at FROM runs WHERE state = 'going'"):
        runs[row["day_on"], row["wave_at"]] = row["id"]
    return runs


async def _begin_run(
    database: Database, wave: Wave, catalogue_id: int, started_by: str, expected: int
) -> int:
    """The wave's run, made or gone on with; accounts opened by use before it are expected too."""
    number: int = await database.fetchval(
        """INSERT INTO runs (day_on, wave_at, catalogue_id, state, started_by, started_at, expected)
           SELECT $1, $2, $3, 'going', $4, tallybook_now(), $5 + (
               SELECT count(*) FROM daily_grants
                WHERE day_on = $1 AND starts_at = $2 AND previous_on IS NOT NULL)
           ON CONFLICT (day_on, wave_at) DO UPDATE SET state = 'going', finished_at = NULL
           RETURNING id""",
        *wave, catalogue_id, started_by, expected,
    )  # fmt: skip
    return number


class _Passing:
    """Goes through the accounts with something due, by id, so that a failing one is passed."""

    def __init__(
        self, database: Database, catalogues: Catalogues, origin: Origin, runs: Mapping[Wave, int]
    ) -> None:
        self.failed: dict[int, str] = {}  # account → its zone
        self._database = database
        self._catalogues = catalogues
        self._origin = origin
        self._runs = runs
        self._after = 0

    def failed_of_run(self, due: Mapping[str, tuple[Day, int]]) -> dict[int, int]:
        """How many accounts failed of each run."""
        counts: dict[int, int] = {}
        for zone in self.failed.values():
            if zone in due:
                day, _ = due[zone]
                run_id = self._runs[day.on, day.starts_at]
                counts[run_id] = counts.get(run_id, 0) + 1
        return counts

    async def chunk(self) -> int:
        """Post what is due on the next accounts; how many there were."""
        rows = await self._database.fetch(
            """SELECT id, time_zone FROM accounts WHERE due_at <= tallybook_now() AND id > $1
                ORDER BY id LIMIT $2""",
            self._after, CHUNK_ACCOUNTS,
        )  # fmt: skip
        if not rows:
            return 0
        try:
            await self._post([row["id"] for row in rows])
        except (asyncpg.IntegrityConstraintViolationError, TallybookError):
            for row in rows:
                await self._post_alone(row["id"], row["time_zone"])
        self._after = rows[-1]["id"]
        return len(rows)

    async def _post_alone(self, number: int, zone: str) -> None:
        try:
            await self._post([number])
        except (asyncpg.IntegrityConstraintViolationError, TallybookError):
            log.exception("account_failed", account=number)
            self.failed[number] = zone

    async def _post(self, numbers: list[int]) -> None:
        async with self._database.transaction():
            rows = await self._database.fetch(
                """SELECT id FROM accounts WHERE id = ANY($1::bigint[])
                      AND due_at <= tallybook_now() ORDER BY id FOR UPDATE SKIP LOCKED""",
                numbers,
            )
            if not rows:
                return
            days = await load.lock(self._database, self._catalogues, [row["id"] for row in rows])
            for day in days.values():
                day.runs = self._runs
                day.post_due(self._origin)
            await load.store(self._database, days.values())


async def _count(
    database: Database, run_ids: Collection[int], failed: Mapping[int, int], *, finished: bool
) -> None:
    """Count what the runs did from what stands, so that a crash cannot make it wrong."""
    for number in run_ids:
        await database.execute(
            """WITH opened AS (
                   SELECT daily_grants.* FROM daily_grants JOIN runs
                       ON runs.id = $1 AND daily_grants.day_on = runs.day_on
                      AND daily_grants.starts_at = runs.wave_at
                    WHERE daily_grants.previous_on IS NOT NULL
               ), lapsed AS (
                   SELECT coalesce(sum(amount), 0) AS credits FROM entries
                     JOIN journals ON journals.id = entries.journal_id
                    WHERE journals.run_id = $1 AND entries.kind = 'expiry'
               )
               UPDATE runs SET
                   issued = (SELECT count(*) FROM opened WHERE run_id = $1),
                   issued_credits = (SELECT coalesce(sum(credits), 0) FROM opened
                                      WHERE run_id = $1),
                   skipped = (SELECT count(*) FROM opened WHERE run_id IS NULL),
                   not_opened = (SELECT coalesce(sum(day_on - previous_on - 1), 0) FROM opened),
                   expired_credits = (SELECT credits FROM lapsed),
                   expected = greatest(expected, (SELECT count(*) FROM opened)),
                   state = CASE WHEN $2 THEN 'done' ELSE state END,
                   finished_at = CASE WHEN $2 THEN tallybook_now() END,
                   failed = $3
                WHERE id = $1""",
            number, finished, failed.get(number, 0),
        )  # fmt: skip


async def runs_of(database: Database, run_ids: Collection[int]) -> list[Record]:
    """The runs' rows, oldest first."""
    return await database.fetch(
        "SELECT * FROM runs WHERE id = ANY($1::bigint[]) ORDER BY id", sorted(run_ids)
    )
