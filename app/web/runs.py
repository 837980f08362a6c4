"""Runs of the daily grants: start one, ask what it would do, list them, look at one."""

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
from app.audit.reversals import taken_back
from app.book import Book
from app.errors import RefusedError
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.operators.acts import Operator
from app.reversals.run_again import run_again
from app.runs.plan import PlannedRun, PlannedTier, plan
from app.runs.run import Ticked, run_due
from app.runs.run_row import runs_of
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import Reason
from app.web.http.instants import Instant
from app.web.http.parameters import Cursor, Limit
from app.web.http.patterns import id_pattern
from app.web.http.views import View, public_or_none, view_of

RunId = Annotated[str, PathParameter(pattern=id_pattern(ids.RUN))]
RUN_SECONDS_MAX: Final = 4.0  # the tick goes on with what is left


class RunBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The date to open, null for all that is due; a dry run only tells what it would do.

    `again` opens the days of `on` again whose run was taken back; `reason` is kept for auditors.
    """

    on: date | None = None
    dry_run: bool = False
    again: bool = False
    reason: Reason | None = None


class SkippedAnswer(View, frozen=True, kw_only=True):
    """Accounts that a run did not open, by reason: their own use opened the day; they are closed;
    nobody uses them; their day had ended before a run came to them after a crash."""

    opened_by_use: int
    closed: int
    dormant: int
    day_over: int


class NotOpenedAnswer(View, frozen=True, kw_only=True):
    """The number of accounts of a zone that had not opened this past date."""

    time_zone: str
    on: date
    accounts: int


class RunAnswer(View, frozen=True, kw_only=True):
    """One execution of the daily grants for one date and the instant it starts at.

    `skipped` is the sum of `skipped_reasons`; `not_opened` counts past account-days,
    `not_opened_dates` tells them by zone; `took_ms` is the time worked on it. `reversed_by` took it
    back: so many credits, and so many had been spent (`shortfall_credits`). `opening` above 1 is a
    run that was run again after that.
    """

    id: str
    on: date
    wave_at: Instant
    opening: int
    reversed_by: str | None
    taken_back_credits: int
    shortfall_credits: int
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


class TakenBackAnswer(View, frozen=True, kw_only=True):
    """The credits that a reversal of the run took of an account's opening; without `reversal_id`
    those that one would take now.

    Of the `requested` credits some are `clawed`, some `held` and taken at their release, some fall
    short (`shortfall`: they were spent) and some had `expired`.
    """

    account_id: str
    journal_id: str
    reversal_id: str | None
    requested: int
    clawed: int
    held: int
    shortfall: int
    expired: int


class TakenBackList(View, frozen=True, kw_only=True):
    """A page of accounts."""

    data: list[TakenBackAnswer]
    next_cursor: str | None


class PlannedRunAnswer(View, frozen=True, kw_only=True):
    """One wave that a run would open, and the accounts that it would skip."""

    on: date
    wave_at: Instant
    time_zones: list[str]
    tiers: list[PlannedTier]
    closed: int
    dormant: int
    not_opened: int


class PlanAnswer(View, frozen=True, kw_only=True):
    """The plan of a run now; nothing was written."""

    plan: list[PlannedRunAnswer]


@post(
    "/api/v1/runs",
    status_code=202,
    responses={
        202: ResponseSpec(
            RunsAnswer,
            description="The runs that it worked on; the tick goes on.",
            generate_examples=False,
        ),
        200: ResponseSpec(
            PlanAnswer, description="A dry run: nothing was changed.", generate_examples=False
        ),
        **problems.declared(400, 401, 403, 409, 413, 422),
    },
    tags=["Life cycle"],
    **access(Access.OPERATOR),
)
async def start_run(
    data: JSONBody[RunBody], request: Request[Any, Any, Any], state: State
) -> Response[RunsAnswer] | Response[PlanAnswer]:
    """Open every account's day that is due, as the tick does; a past day is never opened."""
    book = state.book
    if data.dry_run and not data.again:
        planned = await plan(book.database, book.catalogues, data.on)
        return Response(PlanAnswer(plan=[_plan_answer(one) for one in planned]), status_code=200)
    by = Operator(actor=caller(request).id, reason=data.reason)
    ticked = await _start(book, data, by)
    return Response(await runs_answer(book, ticked))


@get(
    "/api/v1/runs",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_runs(
    state: State, order: FromQuery[Order] = "asc", cursor: Cursor = None, limit: Limit = 100
) -> RunList:
    """List the daily runs by id: accounts expected, issued, skipped, failed and not opened."""
    page = await state.readings.ask(life_cycle.runs, cursor, limit, order)
    return RunList(data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor)


@get(
    "/api/v1/runs/{run_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def get_run(run_id: RunId, state: State) -> RunAnswer:
    """Return one run of the daily grants."""
    number = ids.number(ids.RUN, run_id)
    return _answer(await life_cycle.run(state.book.database, number, run_id))


@get(
    "/api/v1/runs/{run_id:str}/taken-back",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Corrections"],
    **access(Access.AUDITOR),
)
async def list_taken_back(
    run_id: RunId,
    state: State,
    short: FromQuery[bool] = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TakenBackList:
    """List by account the credits taken back of a run, or those that its reversal would take now.

    `short=true` tells only of those that had spent some of it. Accounts to which the run gave
    nothing are not told.
    """
    async with state.reports.room():
        page = await taken_back(
            state.book.database, ids.number(ids.RUN, run_id), run_id, short=short, cursor=cursor,
            limit=limit,
        )  # fmt: skip
    data = [
        view_of(
            TakenBackAnswer,
            row,
            account_id=row["public_account_id"],
            reversal_id=public_or_none(ids.REVERSAL, row["reversal_id"]),
        )
        for row in page.rows
    ]
    return TakenBackList(data=data, next_cursor=page.next_cursor)


async def runs_answer(book: Book, ticked: Ticked) -> RunsAnswer:
    """The runs that were worked on, as they stand."""
    rows = await runs_of(book.database, ticked.run_ids)
    return RunsAnswer(runs=[_answer(row) for row in rows])


async def _start(book: Book, data: RunBody, by: Operator) -> Ticked:
    if not data.again:
        return await run_due(
            book.database,
            book.catalogues,
            by.actor,
            RUN_SECONDS_MAX,
            data.on,
            by,
            book.grant_chunks,
        )
    if data.on is None or data.dry_run:
        raise RefusedError("`again` needs `on`, and has no dry run.")
    return await run_again(book, data.on, by.actor, RUN_SECONDS_MAX, by)


def _answer(row: Record) -> RunAnswer:
    return view_of(
        RunAnswer,
        row,
        id=ids.public(ids.RUN, row["id"]),
        on=row["day_on"],
        reversed_by=public_or_none(ids.REVERSAL, row["reversal_id"]),
        taken_back_credits=row["clawed_credits"] or 0,
        shortfall_credits=row["short_credits"] or 0,
        catalogue=row["catalogue_id"],
        skipped_reasons=SkippedAnswer(
            opened_by_use=row["skipped_by_use"],
            closed=row["skipped_closed"],
            dormant=row["skipped_dormant"],
            day_over=row["skipped_day_over"],
        ),
        not_opened_dates=msgspec.json.decode(row["not_opened_dates"], type=list[NotOpenedAnswer]),
    )


def _plan_answer(planned: PlannedRun) -> PlannedRunAnswer:
    return view_of(PlannedRunAnswer, planned, on=planned.day_on, time_zones=planned.zones)
