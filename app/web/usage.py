"""Usage by day and tier, and the alerts on accounts."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from app.audit import entries
from app.audit.cursor import Page
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.usage import alerts
from app.usage import fold as reports
from app.usage.alerts import AlertQuery
from app.usage.fold import UsagePage, UsageQuery
from app.web import problems
from app.web.access import Access, access
from app.web.instants import Instant
from app.web.ledger import AccountFilter
from app.web.parameters import Cursor, Limit
from app.web.patterns import TIER
from app.web.rows import told
from app.web.views import View

From = Annotated[
    date | None, QueryParameter(name="from", description="The first day, such as 2026-01-01.")
]
To = Annotated[date | None, QueryParameter(description="The first day after.")]
TierFilter = Annotated[str | None, QueryParameter(name="tier", pattern=TIER)]


class UsageAnswer(View, frozen=True, kw_only=True):
    """The credits of one day, by the accounts' own days, and of one tier; gross."""

    day_on: date
    tier: str
    granted: int
    spent: int
    expired: int
    purchased: int


class UsageList(View, frozen=True, kw_only=True):
    """A page of days, by day and tier."""

    data: list[UsageAnswer]
    next_cursor: str | None


class AlertAnswer(View, frozen=True, kw_only=True):
    """An account's balance fell below its tier's threshold, or its use of a day (`on`) reached it.

    `value` is what there was then; `journal_id` made the balance fall.
    """

    id: str
    kind: str
    account_id: str | None
    tier: str
    on: date | None
    journal_id: str | None
    threshold: int
    value: int
    raised_at: Instant


class AlertList(View, frozen=True, kw_only=True):
    """A page of alerts, oldest first."""

    data: list[AlertAnswer]
    next_cursor: str | None


@get(
    "/api/v1/usage",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Reports"],
    **access(Access.AUDITOR),
)
async def get_usage(
    state: State, from_: From = None, to: To = None, tier: TierFilter = None,
    cursor: Cursor = None, limit: Limit = 100,
) -> UsageList:  # fmt: skip
    """Credits granted, spent, expired and purchased, by day and tier."""
    query = UsageQuery(start=from_, end=to, tier=tier)
    return _usage(await reports.usage(state.book.database, query, cursor, limit))


@get(
    "/api/v1/alerts",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Reports"],
    **access(Access.AUDITOR),
)
async def list_alerts(
    state: State, kind: FromQuery[Literal["low_balance", "unusual_use"] | None] = None,
    account_id: AccountFilter = None, cursor: Cursor = None, limit: Limit = 100,
) -> AlertList:  # fmt: skip
    """What rose, oldest first; the thresholds stand in the catalogue."""
    database = state.book.database
    query = AlertQuery(kind=kind, of_account=await entries.of_account(database, account_id))
    return _alerts(await alerts.alerts(database, state.horizons, query, cursor, limit))


def _usage(page: UsagePage) -> UsageList:
    return UsageList(
        data=[told(UsageAnswer, row) for row in page.rows], next_cursor=page.next_cursor
    )


def _alerts(page: Page) -> AlertList:
    return AlertList(data=[_alert(row) for row in page.rows], next_cursor=page.next_cursor)


def _alert(row: Record) -> AlertAnswer:
    return told(
        AlertAnswer,
        row,
        id=ids.public(ids.ALERT, row["id"]),
        account_id=row["public_account_id"],
        on=row["day_on"],
    )
