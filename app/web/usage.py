"""Usage: what was granted, spent and so on, by day, tier, account, label and member."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from litestar import get
from litestar.datastructures import State
from litestar.params import QueryParameter

from app.audit import entries
from app.infrastructure.db import Record
from app.usage.report import By, UsagePage, UsageQuery, usage
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.parameters import AccountFilter, Cursor, LabelFilter, Limit, MemberFilter
from app.web.http.patterns import BY, TIER
from app.web.http.views import View

From = Annotated[
    date | None, QueryParameter(name="from", description="The first day, such as 2026-01-01.")
]
To = Annotated[date | None, QueryParameter(description="The first day after.")]
TierFilter = Annotated[str | None, QueryParameter(name="tier", pattern=TIER)]
ToldBy = Annotated[
    str,
    QueryParameter(
        name="by",
        pattern=BY,
        description="What a row is of, with commas between: day, tier, label, member, account.",
    ),
]
_NOT_OF_USE: Final = ("granted", "purchased", "refunded", "expired", "adjusted", "transferred")


class UsageAnswer(View, frozen=True, kw_only=True):
    """The credits of one day, by the accounts' own days, of one tier, and so on as `by` asks; what
    it does not ask for is null.

    granted + purchased - refunded - spent + returned - expired + reversed + adjusted + transferred
    is what the balance moved by. A label or a member has use alone: the rest is null then, and
    `reversed` is of use.
    """

    day_on: date | None
    tier: str | None
    label: str | None
    member: str | None
    account_id: str | None
    granted: int | None
    purchased: int | None
    refunded: int | None
    spent: int
    returned: int
    expired: int | None
    reversed: int
    adjusted: int | None
    transferred: int | None


class UsageList(View, frozen=True, kw_only=True):
    """A page of usage: by account in the order in which they were opened, then by day and tier."""

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
    by: ToldBy = "day,tier",
    from_: From = None,
    to: To = None,
    account_id: AccountFilter = None,
    tier: TierFilter = None,
    label: LabelFilter = None,
    member: MemberFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> UsageList:
    """Return the credits granted, spent, returned, expired and so on, grouped as `by` asks."""
    database = state.book.database
    query = UsageQuery(
        by=tuple(one for one in By if one in by.split(",")),
        start=from_,
        end=to,
        tier=tier,
        label=label,
        member=member,
        of_account=await entries.of_account(database, account_id),
    )
    async with state.reports.room():
        page = await state.readings.ask_posted(usage, query, cursor, limit)
    rows = [_answer(row, query, page) for row in page.rows]
    return UsageList(data=rows, next_cursor=page.next_cursor)


def _answer(row: Record, query: UsageQuery, page: UsagePage) -> UsageAnswer:
    told: dict[str, int | None] = {
        flow: None if query.of_use else row[flow] for flow in _NOT_OF_USE
    }
    return UsageAnswer(
        day_on=row["day_on"],
        tier=row["tier"],
        label=row["label"] or None,
        member=row["member"] or None,
        account_id=page.names.get(row["present_id"]),
        spent=row["spent"],
        returned=row["returned"],
        reversed=row["use_reversed" if query.of_use else "reversed"],
        **told,
    )
