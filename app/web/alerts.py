"""Alerts on accounts, oldest first."""

from __future__ import annotations

from datetime import date
from typing import Literal

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery

from app.audit import entries
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.usage.alerts import AlertQuery, alerts
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import Instant
from app.web.http.parameters import AccountFilter, Cursor, Limit
from app.web.http.views import View, view_of


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
    "/api/v1/alerts",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Reports"],
    **access(Access.AUDITOR),
)
async def list_alerts(
    state: State,
    kind: FromQuery[Literal["low_balance", "unusual_use"] | None] = None,
    account_id: AccountFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AlertList:
    """List the alerts that rose, oldest first; the thresholds stand in the catalogue."""
    database = state.book.database
    query = AlertQuery(kind=kind, of_account=await entries.of_account(database, account_id))
    page = await alerts(database, state.horizons, query, cursor, limit)
    return AlertList(data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor)


def _answer(row: Record) -> AlertAnswer:
    return view_of(
        AlertAnswer,
        row,
        id=ids.public(ids.ALERT, row["id"]),
        account_id=row["public_account_id"],
        on=row["day_on"],
    )
