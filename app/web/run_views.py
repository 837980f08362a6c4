"""What the API answers about runs: frozen structs, never tables."""

from __future__ import annotations

from datetime import date

import msgspec

from app.infrastructure import ids
from app.infrastructure.db import Record
from app.runs.plan import PlannedRun
from app.web.instants import Instant, instant
from app.web.rows import told
from app.web.views import View


class SkippedAnswer(View, frozen=True, kw_only=True):
    """Accounts that a run did not open, by reason: their own use opened the day; they are closed;
    nobody uses them; their day had ended before a run came to them after a crash."""

    opened_by_use: int
    closed: int
    dormant: int
    day_over: int


class NotOpenedAnswer(View, frozen=True, kw_only=True):
    """So many accounts of a zone had not opened this past date."""

    time_zone: str
    on: date
    accounts: int


class RunAnswer(View, frozen=True, kw_only=True):
    """One execution of the daily grants for one date and the instant it starts at.

    `skipped` is the sum of `skipped_reasons`; `not_opened` counts past account-days,
    `not_opened_dates` tells them by zone; `took_ms` is the time worked on it. `reversed_by` took it
    back; `opening` above 1 is a run that was run again after that.
    """

    id: str
    on: date
    wave_at: Instant
    opening: int
    reversed_by: str | None
    state: str
    catalogue: int
    started_by: str
    started_at: Instant
    finished_at: Instant | None
    took_ms: int
    expected: int
    issued: int
    issued_credits: int
    expired_credits: int
    skipped: int
    skipped_reasons: SkippedAnswer
    failed: int
    not_opened: int
    not_opened_dates: list[NotOpenedAnswer]


class RunsAnswer(View, frozen=True, kw_only=True):
    """The runs that a nudge worked on."""

    runs: list[RunAnswer]


class RunList(View, frozen=True, kw_only=True):
    """A page of runs."""

    data: list[RunAnswer]
    next_cursor: str | None


class PlannedTierAnswer(View, frozen=True, kw_only=True):
    """The accounts of one tier whose day would be opened."""

    tier: str
    accounts: int
    issued_credits: int
    expired_credits: int
    carried_credits: int


class PlannedRunAnswer(View, frozen=True, kw_only=True):
    """One wave that a run would open, and whom it would skip."""

    on: date
    wave_at: Instant
    time_zones: list[str]
    tiers: list[PlannedTierAnswer]
    closed: int
    dormant: int
    not_opened: int


class PlanAnswer(View, frozen=True, kw_only=True):
    """What a run would do now; nothing was written."""

    plan: list[PlannedRunAnswer]


def run(row: Record) -> RunAnswer:
    """The run's answer."""
    reversal_id = row["reversal_id"]
    return told(
        RunAnswer,
        row,
        id=ids.public(ids.RUN, row["id"]),
        on=row["day_on"],
        reversed_by=reversal_id and ids.public(ids.REVERSAL, reversal_id),
        catalogue=row["catalogue_id"],
        skipped_reasons=SkippedAnswer(
            opened_by_use=row["skipped_by_use"],
            closed=row["skipped_closed"],
            dormant=row["skipped_dormant"],
            day_over=row["skipped_day_over"],
        ),
        not_opened_dates=msgspec.json.decode(row["not_opened_dates"], type=list[NotOpenedAnswer]),
    )


def plan(planned: list[PlannedRun]) -> PlanAnswer:
    """The dry run's answer."""
    return PlanAnswer(
        plan=[
            PlannedRunAnswer(
                on=one.day_on,
                wave_at=instant(one.wave_at),
                time_zones=one.zones,
                tiers=[
                    PlannedTierAnswer(
                        tier=tier.tier,
                        accounts=tier.accounts,
                        issued_credits=tier.issued_credits,
                        expired_credits=tier.expired_credits,
                        carried_credits=tier.carried_credits,
                    )
                    for tier in one.tiers
                ],
                closed=one.closed,
                dormant=one.dormant,
                not_opened=one.not_opened,
            )
            for one in planned
        ]
    )
