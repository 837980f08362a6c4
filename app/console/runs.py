"""The runs page shows each daily run with the accounts it skipped; it starts and reverses runs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

import msgspec
import orjson
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import PathParameter

from app.audit import life_cycle
from app.console import forms
from app.console.access import HOME, corrects, reads
from app.console.frame import done, show
from app.console.reversals import POLICIES
from app.infrastructure import ids
from app.reversals.run_again import run_again
from app.runs.plan import plan
from app.runs.run import Ticked, run_due
from app.web.http.forms import form
from app.web.http.patterns import id_pattern

PATH: Final = f"{HOME}/runs"
ROWS: Final = 50
RUN_SECONDS_MAX: Final = 4.0  # the tick goes on with what is left
REFRESH_S: Final = 3
RunId = Annotated[str, PathParameter(pattern=id_pattern(ids.RUN))]
SKIPPED: Final = {
    "skipped_by_use": "opened before by their own use",
    "skipped_dormant": "dormant: nobody uses them",
    "skipped_closed": "closed",
    "skipped_day_over": "their day had ended before the run came to them",
}


class RunsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page of the list."""

    cursor: forms.CursorText | None = None


class RunForm(forms.ActForm, frozen=True, kw_only=True):
    """The date of the days to open; without one, all days that are due."""

    on: date | None = None


@get(PATH, **reads(forms.names_of(RunsQuery)))
async def runs(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Runs, the newest first, and what one would do now."""
    asked = forms.query(request, RunsQuery)
    database = state.book.database
    page = await life_cycle.runs(database, state.horizons, asked.cursor, ROWS, "desc")
    going = any(row["state"] == "going" for row in page.rows)
    return show(
        request,
        "runs.html",
        here=PATH,
        runs=page.rows,
        refresh_s=REFRESH_S if going else None,
        **forms.pages(PATH, forms.sent(asked), page.next_cursor),
    )


@get(f"{PATH}/{{run_id:str}}", **reads())
async def run(run_id: RunId, request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """One run; while it goes on the page loads itself again."""
    row = await life_cycle.run(state.book.database, ids.number(ids.RUN, run_id), run_id)
    going = row["state"] == "going"
    return show(
        request,
        "run.html",
        here=PATH,
        run=row,
        run_id=run_id,
        going=going,
        reached=row["issued"] + row["skipped"],
        skipped=[(told, row[name]) for name, told in SKIPPED.items() if row[name]],
        missed=orjson.loads(row["not_opened_dates"]),
        policies=POLICIES,
        refresh_s=REFRESH_S if going else None,
    )


@post(PATH, status_code=200, **corrects())
async def start(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Show what a run would do now; agreed to, do it."""
    act = await form(request, RunForm)
    book, by = state.book, forms.operator(request, act)
    if not act.confirmed:
        planned = await plan(book.database, book.catalogues, act.on)
        return show(request, "run_plan.html", here=PATH, planned=planned, kept=act.kept, path=PATH)
    ticked = await run_due(
        book.database,
        book.catalogues,
        by.actor,
        RUN_SECONDS_MAX,
        act.on,
        by,
        book.grant_chunks,
    )
    return await done(request, PATH, _told(ticked))


@post(f"{PATH}/{{run_id:str}}/again", status_code=200, **corrects())
async def again(run_id: RunId, request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Open the days of a run again that was taken back."""
    act = await form(request, forms.ActForm)
    row = await life_cycle.run(state.book.database, ids.number(ids.RUN, run_id), run_id)
    by = forms.operator(request, act)
    ticked = await run_again(state.book, row["day_on"], by.actor, RUN_SECONDS_MAX, by)
    return await done(request, PATH, _told(ticked))


def _told(ticked: Ticked) -> str:
    if not ticked.run_ids:
        return "Nothing was due: no day was opened."
    runs = "1 run" if len(ticked.run_ids) == 1 else f"{len(ticked.run_ids)} runs"
    return f"{runs} worked on{'.' if ticked.done else '; the tick goes on with the rest.'}"
