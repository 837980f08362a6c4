"""Usage by day and tier."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.params import QueryParameter

from app.usage.fold import UsageQuery, usage
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.parameters import Cursor, Limit
from app.web.http.patterns import TIER
from app.web.http.views import View, view_of

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


@get(
    "/api/v1/usage",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Reports"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def get_usage(
    state: State,
    from_: From = None,
    to: To = None,
    tier: TierFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> UsageList:
    """Credits granted, spent, expired and purchased, by day and tier."""
    query = UsageQuery(start=from_, end=to, tier=tier)
    async with state.reports.room():
        page = await usage(state.book.database, query, cursor, limit)
    return UsageList(
        data=[view_of(UsageAnswer, row) for row in page.rows], next_cursor=page.next_cursor
    )
