"""The daily run opens each day that is due, chunk by chunk.

PostgreSQL decides what is due and that it happens once. A caller only nudges: a tick, a cron from
outside, or two of them at once. A run is one wave: the accounts whose day of one
date starts at one instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

import asyncpg
import msgspec
import structlog

from app.allowance.catalogues import Catalogues
from app.allowance.origin import Origin
from app.allowance.zones import Wave
from app.errors import RunDateError
from app.infrastructure.clock import elapsed
from app.infrastructure.db import Database
from app.infrastructure.ids import RunNumber
from app.operators.acts import Operator, OperatorAct, record
from app.runs import bulk, dormancy, due_waves, run_row
from app.runs.due_waves import DueZone
from app.runs.one_by_one import Passing
from app.runs.run_row import Skipped
from app.runs.throttle import Pace

log = structlog.get_logger(__name__)

SHORTEST_DAY: Final = timedelta(hours=22)
IDLE_S: Final = 0.2  # of a place that gives way, until it looks again
EASTERNMOST, WESTERNMOST = timedelta(hours=14), timedelta(hours=-12)


class Ticked(msgspec.Struct, frozen=True):
    """The runs that were worked on, and whether nothing is due any more."""

    run_ids: list[RunNumber]
    done: bool


class Nudge(msgspec.Struct, frozen=True):
    """One call's view of the work: who is due where, and the runs that it goes on with."""

    database: Database
    catalogues: Catalogues
    started_by: str
    due: Mapping[str, DueZone]
    runs: Mapping[Wave, RunNumber]
    passing: Passing
    pace: Pace
    ends_at: float

    @property
    def in_time(self) -> bool:
        """Return whether another chunk may be begun."""
        return elapsed() < self.ends_at


async def run_due(
    database: Database,
    catalogues: Catalogues,
    started_by: str,
    within_s: float,
    on: date | None = None,
    by: Operator | None = None,
    at_once: int = 1,
) -> Ticked:
    """Post all that is due, for as long as ``within_s``; the next call goes on from there.

    ``on`` keeps to the days of one date: raises RunDateError where it is that date nowhere.
    ``at_once`` chunks are opened side by side, each on a connection of its own; one alone
    while others are at work.
    ``by`` is the operator who asked, None for a tick or a cron.
    An account that fails costs no other its day: it is logged, counted and tried at each call.
    """
    await check_date(database, on)
    await dormancy.rouse(database, catalogues)
    due_by: datetime = await database.fetchval("SELECT tallybook_now()")
    due = await due_waves.due_zones(database, on)
    runs = await _begin_runs(database, catalogues, started_by, due, by)
    passing = Passing(
        database,
        catalogues,
        Origin("grants", started_by),
        runs,
        {zone: one.wave for zone, one in due.items()},
        None if on is None else list(due),
        due_by,
    )
    nudge = Nudge(
        database, catalogues, started_by, due, runs, passing, Pace(database), elapsed() + within_s
    )
    await _skip_dormant(nudge)
    for zone in due:
        await _side_by_side(nudge, zone, at_once)
    while nudge.in_time and await nudge.pace.chunk(passing.chunk):
        continue
    done = nudge.in_time and await _nothing_due(database, passing, on)
    if nudge.in_time or done:
        await _judge(nudge, passing)
    return Ticked(sorted(runs.values()), done)


async def check_date(database: Database, on: date | None) -> None:
    """Raises RunDateError unless it is this date in some zone now: a past day is never opened."""
    if on is None:
        return
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    first, last = (now + WESTERNMOST).date(), (now + EASTERNMOST).date()
    if on > last:
        raise RunDateError(f"{on} has begun nowhere yet; it is at most {last}.", on=str(on))
    if on < first:
        missed = await run_row.not_opened_on(database, on)
        raise RunDateError(
            f"{on} is over everywhere, and a past day is never opened; {missed} accounts are "
            f"counted that had not opened it.",
            on=str(on),
            not_opened=missed,
        )


async def _begin_runs(
    database: Database,
    catalogues: Catalogues,
    started_by: str,
    due: Mapping[str, DueZone],
    by: Operator | None = None,
) -> dict[Wave, RunNumber]:
    """The runs of all waves that are due now, and of those that a crash left going."""
    catalogue_id, _ = await catalogues.present(database)
    expected = due_waves.expected(due)
    # Before any other, since those of an outage are looked for from the newest run on.
    missing = await due_waves.opened_by_use(database) | set(await due_waves.dormant_zones(database))
    await run_row.begin_missing(database, missing - set(expected), catalogue_id, started_by)
    async with database.transaction():
        for wave in sorted(expected):
            await run_row.begin(database, wave, catalogue_id, started_by, expected[wave])
        runs = await run_row.going(database)
        if by is not None:
            for run_id in runs.values():
                await record(database, OperatorAct.RUN, by, run_id=run_id)
    return runs


async def _skip_dormant(nudge: Nudge) -> None:
    _, catalogue = await nudge.catalogues.present(nudge.database)
    for zone, one in nudge.due.items():
        since = dormancy.used_since(one.day.starts_at, catalogue.dormant_after_days)
        while (
            since is not None
            and nudge.in_time
            and await dormancy.skip(nudge.database, zone, one.day.starts_at, since)
        ):
            continue


async def _side_by_side(nudge: Nudge, zone: str, at_once: int) -> None:
    """Chunk after chunk in each of so many places; none waits for what another has locked.

    All but the first that has not ended stand idle while others are at work on the database.
    """
    places = set(range(at_once))

    async def chunks(place: int) -> None:
        try:
            while nudge.in_time:
                if place != min(places) and await nudge.pace.others_at_work():
                    await asyncio.sleep(IDLE_S)
                elif not await nudge.pace.chunk(partial(_bulk, nudge, zone)):
                    break
        finally:
            places.discard(place)

    # All come to their end, so that nothing is at work any more when one has failed.
    ends = await asyncio.gather(*(chunks(n) for n in range(at_once)), return_exceptions=True)
    for failed in filter(None, ends):
        raise failed


async def _bulk(nudge: Nudge, zone: str) -> int:
    """A chunk by the set-based way, but for those that failed; 0 where none is left."""
    one, began = nudge.due[zone], elapsed()
    run_id = nudge.runs[one.wave]
    _, catalogue = await nudge.catalogues.present(nudge.database)
    since = dormancy.used_since(one.day.starts_at, catalogue.dormant_after_days)
    failed = list(nudge.passing.failed)
    try:
        async with nudge.database.transaction():
            counted = await bulk.open_days(
                nudge.database,
                nudge.catalogues,
                zone,
                one.day,
                Origin("grants", nudge.started_by, run_id=run_id),
                since,
                failed,
            )
            if counted.issued:
                took_ms = round((elapsed() - began) * 1000)
                await run_row.add(nudge.database, run_id, counted, took_ms)
    except asyncpg.IntegrityConstraintViolationError:
        log.exception("chunk_failed", zone=zone)  # which account it was, the other way finds out
        chunk = await bulk.next_chunk(nudge.database, zone, one.day, since, failed)
        return sum([await nudge.passing.post_alone(number, zone) for number in chunk])
    return counted.issued


async def _nothing_due(database: Database, passing: Passing, on: date | None) -> bool:
    """Return whether nobody is left but those that failed; others may be at work on some."""
    if on is not None:
        return not await due_waves.due_zones(database, on, list(passing.failed))
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    return not await database.fetchval(
        "SELECT EXISTS (SELECT FROM accounts WHERE due_at <= $2 AND id <> ALL($1::bigint[]))",
        list(passing.failed),
        now,
    )


async def _judge(nudge: Nudge, passing: Passing) -> None:
    """Count the runs, and finish those whose wave has nothing due any more."""
    for wave, run_id in nudge.runs.items():
        async with nudge.database.transaction():
            await run_row.lock(nudge.database, run_id)
            due = due_waves.expected(await due_waves.due_zones(nudge.database))
            dormant = await due_waves.dormant_zones(nudge.database)
            now: datetime = await nudge.database.fetchval("SELECT tallybook_now()")
            over = wave not in due and wave not in dormant and now - wave[1] >= SHORTEST_DAY
            skipped = None
            if not over:
                zones = dormant.get(wave, [])
                count = await dormancy.count(nudge.database, zones) if zones else 0
                skipped = Skipped(count, passing.failed_of(wave))
            await run_row.finish(nudge.database, run_id, sum(due.get(wave, {}).values()), skipped)
