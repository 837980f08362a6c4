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

AlertKind = Literal["low", "depleted", "recovered", "unusual_use", "hold_leaked", "gift_disputed"]


class AlertAnswer(View, frozen=True, kw_only=True):
    """A balance that fell low, was used up or recovered; unusual use; a leaked hold; a gift.

    `low`: the balance (free + held - debt) fell below `low_balance_alert` of the account's tier.
    `depleted`: nothing is left. `recovered`: it is back at that threshold, or above zero where the
    tier has none; only then can the two rise again. `journal_id` crossed the level. `unusual_use`:
    the spends of the day `on`, less what came back of them, reached `unusual_use_alert`.
    `hold_leaked`: `hold_id` ended at its deadline, and nothing of it was captured or released.
    `gift_disputed`: `value` credits were spent of a gift that `customer_id` paid for and took back.
    `value` is the balance, the use or the credits; `effective_at` is when it happened.
    """

    id: str
    kind: str
    account_id: str | None
    tier: str
    on: date | None
    journal_id: str | None
    hold_id: str | None
    customer_id: str | None
    threshold: int
    value: int
    effective_at: Instant
    raised_at: Instant


class AlertList(View, frozen=True, kw_only=True):
    """A page of alerts, oldest first; `next_cursor` is there at the end too, to be asked later."""

    data: list[AlertAnswer]
    next_cursor: str


@get(
    "/api/v1/alerts",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Reports"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def list_alerts(
    state: State,
    kind: FromQuery[AlertKind | None] = None,
    account_id: AccountFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AlertList:
    """List the alerts, oldest first. Ask again with `next_cursor` to follow them."""
    database = state.book.database
    query = AlertQuery(kind=kind, of_account=await entries.of_account(database, account_id))
    rows, next_cursor = await state.readings.ask(alerts, query, cursor, limit)
    return AlertList(data=[_answer(row) for row in rows], next_cursor=next_cursor)


def _answer(row: Record) -> AlertAnswer:
    return view_of(
        AlertAnswer,
        row,
        id=ids.public(ids.ALERT, row["id"]),
        account_id=row["public_account_id"],
        on=row["day_on"],
    )
