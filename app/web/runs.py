"""The runs: start one, ask what it would do, list them, look at one."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, PathParameter

from app.audit import life_cycle
from app.audit.life_cycle import Order
from app.book import Book
from app.errors import RefusedError
from app.infrastructure import ids
from app.operators.acts import Operator
from app.reversals.run_again import run_again
from app.runs.plan import plan
from app.runs.run import Ticked, run_due
from app.runs.run_row import runs_of
from app.web import problems, run_views
from app.web.access import Access, access, caller
from app.web.parameters import Cursor, Limit
from app.web.patterns import id_pattern
from app.web.requests import Reason

RunId = Annotated[str, PathParameter(pattern=id_pattern(ids.RUN))]
RUN_SECONDS_MAX: Final = 4.0  # the tick goes on with what is left


class RunBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which date to open, null for all that is due; a dry run only tells what it would do.

    `again` opens the days of `on` again whose run was taken back; `reason` is kept for auditors.
    """

    on: date | None = None
    dry_run: bool = False
    again: bool = False
    reason: Reason | None = None


@post(
    "/api/v1/runs",
    status_code=202,
    responses={
        202: ResponseSpec(
            run_views.RunsAnswer, description="The runs that it worked on; the tick goes on.",
            generate_examples=False,
        ),
        200: ResponseSpec(
            run_views.PlanAnswer, description="A dry run: nothing was changed.",
            generate_examples=False,
        ),
        **problems.declared(400, 401, 403, 409, 413, 422),
    },
    tags=["Life cycle"],
    **access(Access.OPERATOR),
)  # fmt: skip
async def start_run(
    data: JSONBody[RunBody], request: Request[Any, Any, Any], state: State
) -> Response[run_views.RunsAnswer] | Response[run_views.PlanAnswer]:
    """Open every account's day that is due, as the tick does; a past day is never opened."""
    book = state.book
    if data.dry_run and not data.again:
        planned = await plan(book.database, book.catalogues, data.on)
        return Response(run_views.plan(planned), status_code=200)
    by = Operator(actor=caller(request).id, reason=data.reason)
    ticked = await _start(book, data, by)
    rows = await runs_of(book.database, ticked.run_ids)
    return Response(run_views.RunsAnswer(runs=[run_views.run(row) for row in rows]))


async def _start(book: Book, data: RunBody, by: Operator) -> Ticked:
    if not data.again:
        return await run_due(
            book.database, book.catalogues, by.actor, RUN_SECONDS_MAX, data.on, by,
            book.grant_chunks,
        )  # fmt: skip
    if data.on is None or data.dry_run:
        raise RefusedError("`again` needs `on`, and has no dry run.")
    return await run_again(book, data.on, by.actor, RUN_SECONDS_MAX, by)


@get(
    "/api/v1/runs",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_runs(
    state: State, order: FromQuery[Order] = "asc", cursor: Cursor = None, limit: Limit = 100
) -> run_views.RunList:
    """The daily runs by id: expected, issued, skipped, failed, not opened."""
    page = await life_cycle.runs(state.book.database, state.horizons, cursor, limit, order)
    return run_views.RunList(
        data=[run_views.run(row) for row in page.rows], next_cursor=page.next_cursor
    )


@get(
    "/api/v1/runs/{run_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def get_run(run_id: RunId, state: State) -> run_views.RunAnswer:
    """One execution of the daily grants."""
    number = ids.number(ids.RUN, run_id)
    return run_views.run(await life_cycle.run(state.book.database, number, run_id))
