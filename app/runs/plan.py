"""What a run would do now, by tier, without doing it: a dry run writes nothing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import msgspec

from app.allowance.catalogues import CARRIES, Catalogues
from app.allowance.day import Wave
from app.allowance.entitlement import ENTITLED, TIERS, tier_columns
from app.infrastructure.db import Database, Record
from app.runs import dormancy, due_waves
from app.runs.run import check_date


class PlannedTier(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of one tier whose day would be opened.

    ``expired_credits`` is the rest of the old days' lots as they stand, less what is carried over;
    what a hold past its deadline would give back first is not in it.
    """

    tier: str
    accounts: int
    issued_credits: int
    expired_credits: int
    carried_credits: int


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One wave that a run would open, and whom it would skip."""

    day_on: date
    wave_at: datetime
    zones: list[str]
    tiers: list[PlannedTier]
    closed: int
    dormant: int
    not_opened: int  # account-days that are past already


_PLAN: Final = f"""
WITH {TIERS}, {CARRIES}, zones AS MATERIALIZED (
    SELECT * FROM unnest($7::text[], $8::date[], $9::timestamptz[], $10::timestamptz[])
        AS zone (name, day_on, starts_at, used_since)
), accounts_due AS MATERIALIZED (
    SELECT accounts.*, zones.day_on AS next_on, zones.starts_at AS next_at,
           closed_at IS NULL AND held = 0 AND due_at = day_ends_at
               AND coalesce(coalesce(last_used_at, opened_at) <= used_since, false) AS dormant
      FROM accounts JOIN zones ON zones.name = accounts.time_zone
     WHERE due_at <= (SELECT tallybook_now()) AND day_ends_at <= (SELECT tallybook_now())
       AND accounts.day_on < zones.day_on AND suspended_at IS NULL
)
SELECT next_on, next_at, array_agg(DISTINCT time_zone) AS zones, entitled.name AS tier,
       closed_at IS NOT NULL AS closed, dormant, count(*) AS account_count,
       sum(entitled.credits)::bigint AS issued,
       sum(coalesce(lots.free, 0) - kept)::bigint AS expired,
       sum(kept)::bigint AS carried, sum(next_on - accounts.day_on - 1)::bigint AS not_opened
  FROM accounts_due AS accounts
  LEFT JOIN lots ON lots.id = accounts.day_lot_id
  LEFT JOIN carries ON carries.catalogue_id = day_catalogue_id AND carries.tier = accounts.tier
 CROSS JOIN LATERAL (SELECT CASE WHEN day_ends_at >= next_at
                                 THEN least(coalesce(lots.free, 0), coalesce(credits_max, 0))
                                 ELSE 0 END AS kept) AS carried
 CROSS JOIN LATERAL ({ENTITLED.format(at="next_at")}) AS entitled
 GROUP BY next_on, next_at, entitled.name, entitled.credits, closed, dormant
 ORDER BY next_at, next_on, entitled.credits DESC, tier
"""


async def plan(
    database: Database, catalogues: Catalogues, on: date | None = None
) -> list[PlannedRun]:
    """What ``run_due`` would open, wave by wave; raises RunDateError."""
    await check_date(database, on)
    async with database.snapshot():
        return await planned(database, catalogues, on)


async def planned(
    database: Database, catalogues: Catalogues, on: date | None = None
) -> list[PlannedRun]:
    """The same, by what the caller's transaction sees."""
    due = await due_waves.due_zones(database, on)
    standing = await due_waves.dormant_zones(database)
    _, present = await catalogues.present(database)
    carries = await catalogues.carries(database)
    since = [
        dormancy.used_since(one.day.starts_at, present.dormant_after_days) for one in due.values()
    ]
    rows = await database.fetch(
        _PLAN,
        *tier_columns(present),
        *carries,
        list(due),
        [one.day.on for one in due.values()],
        [one.day.starts_at for one in due.values()],
        since,
    )
    runs: dict[Wave, PlannedRun] = {}
    for row in rows:
        wave = (row["next_on"], row["next_at"])
        if wave not in runs:
            zones = standing.get(wave, [])
            dormant = await dormancy.count(database, zones) if zones else 0
            runs[wave] = _empty(wave, dormant)
        runs[wave] = _with(runs[wave], row)
    return list(runs.values())


def _empty(wave: Wave, dormant: int) -> PlannedRun:
    return PlannedRun(
        day_on=wave[0], wave_at=wave[1], zones=[], tiers=[], closed=0, dormant=dormant, not_opened=0
    )


def _with(planned: PlannedRun, row: Record) -> PlannedRun:
    """The wave with one more group of its accounts."""
    count = row["account_count"]
    change: dict[str, object] = {"zones": sorted({*planned.zones, *row["zones"]})}
    if row["closed"]:
        change["closed"] = planned.closed + count
    elif row["dormant"]:
        change["dormant"] = planned.dormant + count
    else:
        tier = PlannedTier(
            tier=row["tier"],
            accounts=count,
            issued_credits=row["issued"],
            expired_credits=row["expired"],
            carried_credits=row["carried"],
        )
        change |= {
            "tiers": [*planned.tiers, tier],
            "not_opened": planned.not_opened + row["not_opened"],
        }
    return msgspec.structs.replace(planned, **change)
