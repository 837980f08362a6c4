"""Operators' acts, at the API and at the machine."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.params import QueryParameter

from app.audit.operator_acts import acts
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.operators.acts import OperatorAct
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import Instant
from app.web.http.parameters import Cursor, Limit
from app.web.http.views import View, view_of


class OperatorActAnswer(View, frozen=True, kw_only=True):
    """An operator's act. `actor` is a key's id, or `cli:` and a user of the machine."""

    id: str
    actor: str
    act: str
    reason: str | None
    subject: str | None
    account_id: str | None
    journal_id: str | None
    event_id: str | None
    run_id: str | None
    at: Instant


class OperatorActList(View, frozen=True, kw_only=True):
    """One page, oldest first."""

    data: list[OperatorActAnswer]
    next_cursor: str | None


@get(
    "/api/v1/operator-acts",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Audit"],
    **access(Access.AUDITOR),
)
async def list_operator_acts(
    state: State,
    act: Annotated[OperatorAct | None, QueryParameter()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> OperatorActList:
    """List operators' acts. Each was written in the transaction of the act itself."""
    page = await state.readings.ask(acts, act, cursor, limit)
    return OperatorActList(data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor)


def _answer(row: Record) -> OperatorActAnswer:
    return view_of(
        OperatorActAnswer,
        row,
        id=ids.public(ids.ACT, row["id"]),
        reason=row["told_reason"],
        account_id=row["public_account_id"],
    )
