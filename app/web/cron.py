"""The daily run for schedulers outside: GET and POST /api/cron/reset-credits."""

from __future__ import annotations

from typing import Final

from litestar import Response, route
from litestar.datastructures import State
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec

from app.runs.run import run_due
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.runs import RunsAnswer, runs_answer

CRON_SECONDS_MAX: Final = 4.0  # the contract answers within 5


@route(
    "/api/cron/reset-credits",
    http_method=[HttpMethod.GET, HttpMethod.POST],
    status_code=200,
    responses={
        202: ResponseSpec(RunsAnswer, description="Going on; call again.", generate_examples=False),
        **problems.declared(400, 401, 429),
    },
    tags=["Cron"],
    **access(Access.CRON),
)
async def reset_credits(state: State) -> Response[RunsAnswer]:
    """Open every account's day that is due. It is safe to call as often as you like."""
    book = state.book
    ticked = await run_due(
        book.database, book.catalogues, "cron", CRON_SECONDS_MAX, at_once=book.grant_chunks
    )
    return Response(await runs_answer(book, ticked), status_code=200 if ticked.done else 202)
