"""Verifications: begin one, look how far it is and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from app.audit.cursor import PAST_EVERY_NUMBER
from app.infrastructure import ids
from app.verify import asked
from app.verify.asked import Verifier
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.instants import Instant
from app.web.http.parameters import Cursor, Limit
from app.web.http.patterns import id_pattern
from app.web.http.views import View, view_of

if TYPE_CHECKING:
    from app.verify.row_types import AskedNewest


VerificationId = Annotated[str, PathParameter(pattern=id_pattern(ids.VERIFICATION))]


class CheckAnswer(View, frozen=True, kw_only=True):
    """One invariant: the rows that it looked at, and the first 20 places where it does not hold."""

    name: str
    rows: int
    differences: list[str]


class VerificationAnswer(View, frozen=True, kw_only=True):
    """A verification that was asked for over HTTP or in the console, and how far it is.

    `state` is going, clean (every check holds), differs (see `checks`) or broken_off (see `error`).
    Of `check_count` checks `done_count` are done, and found `difference_count` differences.
    """

    id: str
    state: Literal["going", "clean", "differs", "broken_off"]
    asked_by: str
    started_at: Instant
    finished_at: Instant | None
    check_count: int
    done_count: int
    difference_count: int
    error: str | None
    checks: list[CheckAnswer]


class VerificationList(View, frozen=True, kw_only=True):
    """A page of verifications, the newest first."""

    data: list[VerificationAnswer]
    next_cursor: str | None


@post(
    "/api/v1/verifications",
    status_code=202,
    responses={
        202: ResponseSpec(VerificationAnswer, description="It has begun.", generate_examples=False),
        200: ResponseSpec(
            VerificationAnswer,
            description="One was under way already: this is it.",
            generate_examples=False,
        ),
        **problems.declared(401, 403),
    },
    tags=["Reports"],
    **access(Access.AUDITOR),
)
async def verify(request: Request[Any, Any, Any], state: State) -> Response[VerificationAnswer]:
    """Compute every number again from the entries, and check each invariant.

    It changes no credits. One goes on at a time; ask for it by its id until `finished_at` is there.
    `tallybook ledger verify` does the same at the machine.
    """
    verifier: Verifier = state.verifier
    number = await verifier.begin(caller(request).id)
    before = PAST_EVERY_NUMBER if number is None else number + 1
    (row,) = await asked.newest(state.book.database, 1, before)
    return Response(_answer(row), status_code=200 if number is None else 202)


@get(
    "/api/v1/verifications",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Reports"],
    **access(Access.AUDITOR),
)
async def list_verifications(
    state: State, cursor: Cursor = None, limit: Limit = 20
) -> VerificationList:
    """List the verifications that were asked for over HTTP or in the console, the newest first."""
    page = await asked.page(state.book.database, cursor, limit)
    return VerificationList(data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor)


@get(
    "/api/v1/verifications/{verification_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Reports"],
    **access(Access.AUDITOR),
)
async def get_verification(verification_id: VerificationId, state: State) -> VerificationAnswer:
    """Return how far a verification is, and what each check found."""
    number = ids.number(ids.VERIFICATION, verification_id)
    return _answer(await asked.asked(state.book.database, number, verification_id))


def _answer(row: AskedNewest) -> VerificationAnswer:
    return view_of(
        VerificationAnswer,
        row,
        id=ids.public(ids.VERIFICATION, row["id"]),
        state=_state(row),
        checks=[view_of(CheckAnswer, check) for check in asked.checks_of(row)],
    )


def _state(row: AskedNewest) -> str:
    if row["finished_at"] is None:
        return "going"
    if row["error"] is not None:
        return "broken_off"
    return "differs" if row["difference_count"] else "clean"
