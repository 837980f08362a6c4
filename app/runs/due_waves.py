"""Find the waves with work: accounts that are due, days that use opened, dormant accounts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta

import msgspec
import structlog

from app.allowance.zones import Day, Wave, day_of
from app.errors import UnknownZoneError
from app.infrastructure.db import Database
from app.runs import dormancy

log = structlog.get_logger(__name__)

_EVERY_ZONE = timedelta(days=4)  # dates lie a day apart at most, runs behind one more


class DueZone(msgspec.Struct, frozen=True):
    """A zone's present day, and how many of its accounts have not opened it."""

    day: Day
    account_count: int

    @property
    def wave(self) -> Wave:
        """The run that it belongs to."""
        return (self.day.on, self.day.starts_at)


async def due_zones(
    database: Database, on: date | None = None, but: Collection[int] = ()
) -> dict[str, DueZone]:
    """The zones with accounts whose day is to be opened; ``on`` keeps those where it is that date.

    ``but`` are accounts that are not counted.
    """
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    rows = await database.fetch(
        """SELECT time_zone, day_on, count(*) AS account_count FROM accounts
            WHERE due_at <= $1 AND day_ends_at <= $1 AND id <> ALL($2::bigint[])
            GROUP BY time_zone, day_on""",
        now,
        list(but),
    )
    days = dict(_days({row["time_zone"] for row in rows}, now))
    due: dict[str, DueZone] = {}
    for row in rows:
        zone, count = row["time_zone"], row["account_count"]
        # Where tzdata has put off the end of a day since it was opened, the next has not begun.
        if zone in days and row["day_on"] < days[zone].on and on in (None, days[zone].on):
            due[zone] = DueZone(days[zone], count + (due[zone].account_count if zone in due else 0))
    return due


def _days(zone_names: Iterable[str], now: datetime) -> Iterator[tuple[str, Day]]:
    """The present day of each zone that is known.

    tzdata drops a name once in some years (US/Pacific-New in 2020), and a process may be older
    than the one that took the name: whose zone it is waits, and nobody else does.
    """
    for name in zone_names:
        try:
            yield name, day_of(name, now)
        except UnknownZoneError:
            log.error("zone_unknown", time_zone=name, remedy="PUT its accounts another zone")


async def dormant_zones(database: Database) -> dict[Wave, list[str]]:
    """The zones with dormant accounts, by the wave of their present day."""
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    found: dict[Wave, list[str]] = {}
    for zone, day in _days(await dormancy.zones(database), now):
        found.setdefault((day.on, day.starts_at), []).append(zone)
    return found


async def next_dormant_at(database: Database) -> datetime | None:
    """When the next day begins on which a run has dormant accounts to count; None without any."""
    now: datetime = await database.fetchval("SELECT tallybook_now()")
    days = _days(await dormancy.zones(database), now)
    return min((day.ends_at for _, day in days), default=None)


async def opened_by_use(database: Database) -> set[Wave]:
    """Waves that have no run, of which spends and reads' writers opened every day there was.

    Looked for from the newest run on, by one look into the index for each wave: after an outage
    of the workers there may be many.
    """
    newest = await database.fetchval("SELECT max(day_on) FROM runs")
    rows = await database.fetch(
        """WITH RECURSIVE wave AS (
               (SELECT day_on, starts_at FROM daily_grants
                 WHERE run_id IS NULL AND previous_on IS NOT NULL AND NOT after_dormancy
                   AND day_on >= $1 ORDER BY day_on, starts_at LIMIT 1)
               UNION ALL
               SELECT later.day_on, later.starts_at FROM wave, LATERAL (
                   SELECT day_on, starts_at FROM daily_grants
                    WHERE run_id IS NULL AND previous_on IS NOT NULL AND NOT after_dormancy
                      AND (day_on, starts_at) > (wave.day_on, wave.starts_at)
                    ORDER BY day_on, starts_at LIMIT 1) AS later)
           SELECT day_on, starts_at FROM wave
            WHERE NOT EXISTS (SELECT FROM runs
                               WHERE runs.day_on = wave.day_on AND wave_at = starts_at)""",
        date.min if newest is None else newest - _EVERY_ZONE,
    )
    return {(row["day_on"], row["starts_at"]) for row in rows}


def expected(due: Mapping[str, DueZone]) -> dict[Wave, dict[str, int]]:
    """Return how many accounts are due in each wave, by their zone."""
    counts: dict[Wave, dict[str, int]] = {}
    for zone, one in due.items():
        counts.setdefault(one.wave, {})[zone] = one.account_count
    return counts
