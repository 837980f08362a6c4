"""A dry run of the daily run, by tier; it writes nothing."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.allowance.catalogues import Catalogues
from app.allowance.entitlement import tier_columns
from app.allowance.zones import Wave
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.runs import dormancy, due_waves
from app.runs.run import check_date

if TYPE_CHECKING:
    from app.runs import row_types


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
    """One wave of a planned run: the accounts that it would open, and those that it would skip."""

    day_on: date
    wave_at: datetime
    zones: list[str]
    tiers: list[PlannedTier]
    closed: int
    dormant: int
    not_opened: int  # account-days that are past already


_SQL: Final[row_types.PlanSql] = sql.beside(__file__)


async def plan(
    database: Database, catalogues: Catalogues, on: date | None = None
) -> list[PlannedRun]:
    """Return what ``run_due`` would open, wave by wave. Raises RunDateError."""
    await check_date(database, on)
    async with database.snapshot():
        return await planned(database, catalogues, on)


async def planned(
    database: Database, catalogues: Catalogues, on: date | None = None
) -> list[PlannedRun]:
    """Return the same as the caller's transaction sees it."""
    due = await due_waves.due_zones(database, on)
    standing = await due_waves.dormant_zones(database)
    _, present = await catalogues.present(database)
    since = [
        dormancy.used_since(one.day.starts_at, present.dormant_after_days) for one in due.values()
    ]
    rows = await database.fetch(
        _SQL["plan"](
            **tier_columns(present),
            **await catalogues.tiers_of_days(database),
            zones=list(due),
            dates=[one.day.on for one in due.values()],
            starts=[one.day.starts_at for one in due.values()],
            used_since=since,
        )
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


def _with(planned: PlannedRun, row: row_types.PlanPlan) -> PlannedRun:
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
