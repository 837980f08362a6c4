"""The page of today shows credits granted and spent, Stripe's events, and what needs a person."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from app.audit import gauges, life_cycle
from app.console import forms
from app.console.access import HOME, reads
from app.console.frame import address, show
from app.doctor import work
from app.doctor.finding import Finding, Level, fail
from app.doctor.surroundings import Surroundings
from app.errors import TallybookError
from app.html.plots import Figure, stacked
from app.infrastructure import clock, sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.console import row_types


DAYS: Final = 30
EVENTS_MAX: Final = 5_000
ALERTS_SHOWN: Final = 8
ALERTS_PAGE: Final = 100
RUNS_SHOWN: Final = 5
SERIES_MAX: Final = 8  # colours; further tiers are one
AHEAD_SHOWN: Final = timedelta(minutes=1)
_LAST: Final = 2**63 - 1
Flow = Literal["granted", "spent", "expired"]
_FLOWS: Final[Mapping[Flow, str]] = {
    "granted": "Credits granted and bought, by tier",
    "spent": "Credits spent, by tier",
    "expired": "Credits that expired, by tier",
}
_SQL: Final[row_types.TodaySql] = sql.beside(__file__)


class AlertsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page of the alerts: those before one."""

    before: int = _LAST


@get(HOME, **reads())
async def today(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The book at a glance."""
    database: Database = state.book.database
    now, ahead = await clock.ahead(database)
    measured = await database.fetchrow(gauges.QUERY)
    assert measured is not None
    rows = await database.fetch(_SQL["verdicts"](most=EVENTS_MAX))
    page = await life_cycle.runs(database, state.horizons, None, RUNS_SHOWN, "desc")
    return show(
        request,
        "today.html",
        here=HOME,
        now=now,
        ahead=ahead if abs(ahead) > AHEAD_SHOWN else None,
        gauges={name: None if value is None else int(value) for name, value in measured.items()},
        verdicts={row["verdict"]: row["events"] for row in rows},
        figures=await _figures(database, now.date()),
        alerts=await database.fetch(_SQL["alerts"](before=_LAST, limit=ALERTS_SHOWN)),
        runs=page.rows,
        findings=[one for one in await _findings(state) if one.level is not Level.OK],
    )


@get(f"{HOME}/alerts", **reads(forms.names_of(AlertsQuery)))
async def alerts(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Alerts, the newest first."""
    asked = forms.query(request, AlertsQuery)
    rows = await state.book.database.fetch(
        _SQL["alerts"](before=asked.before, limit=ALERTS_PAGE + 1)
    )
    more = len(rows) > ALERTS_PAGE
    rows = rows[:ALERTS_PAGE]
    return show(
        request,
        "alerts.html",
        here=HOME,
        alerts=rows,
        next_path=address(f"{HOME}/alerts", before=rows[-1]["id"]) if more else None,
    )


async def _findings(state: State) -> list[Finding]:
    """Return the doctor's findings on the work at hand, and whether this server can serve."""
    found = await work.at_hand(state.book.database, Surroundings(variables=os.environ))
    try:
        ready = await state.readiness.get()
    except TallybookError as error:
        return [fail("this server", error.detail, "see ops/runbook.md"), *found]
    told = [
        fail("this server", one.replace("_", " "), "see ops/runbook.md") for one in ready.degraded
    ]
    return [*told, *found]


async def _figures(database: Database, last: date) -> list[Figure]:
    start = last - timedelta(days=DAYS - 1)
    days = [start + timedelta(days=index) for index in range(DAYS)]
    rows = await database.fetch(_SQL["folded"](start=start, end=last + timedelta(days=1)))
    return [
        stacked(days, _by_tier(rows, flow, days), title=title) for flow, title in _FLOWS.items()
    ]


def _by_tier(
    rows: Sequence[row_types.TodayFolded], flow: Flow, days: Sequence[date]
) -> Mapping[str, Sequence[int]]:
    """A value for each day by tier, the greatest tiers first; what is left over is one series.

    What was returned more than spent on a day counts as nothing: bars do not go below zero.
    """
    tiers: dict[str, dict[date, int]] = {}
    for row in rows:
        if row[flow] > 0:
            tiers.setdefault(row["tier"], {})[row["day_on"]] = row[flow]
    ranked = sorted(tiers, key=lambda tier: -sum(tiers[tier].values()))
    shown, others = ranked[: SERIES_MAX - 1], ranked[SERIES_MAX - 1 :]
    series = {tier: [tiers[tier].get(day, 0) for day in days] for tier in sorted(shown)}
    if others:
        series["other tiers"] = [sum(tiers[tier].get(day, 0) for tier in others) for day in days]
    return series
