"""Reversals of a journal, of an event's money, or of a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, PathParameter

from app.audit import entries
from app.audit.life_cycle import Order
from app.audit.reversals import ReversalQuery, reversal, reversals
from app.errors import RefusedError
from app.infrastructure import ids
from app.ledger.clawbacks import Policy
from app.reversals import journal, run
from app.reversals.event import reverse_event
from app.reversals.record import ReversalOrder, Reversed
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import Reason, answered, order, within_patience
from app.web.http.instants import Instant
from app.web.http.parameters import (
    AccountFilter,
    Cursor,
    IdempotencyKey,
    Limit,
    RunFilter,
    row_number,
)
from app.web.http.patterns import STRIPE_ID, id_pattern
from app.web.http.views import View, public_or_none, view_of

if TYPE_CHECKING:
    from app.audit.row_types import ReversalsUp


RUN_REVERSAL_SECONDS_MAX: Final = 4.0

ReversalId = Annotated[str, PathParameter(pattern=id_pattern(ids.REVERSAL))]


class ReversalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the three ids says what is reversed."""

    reason: Reason
    journal_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.JOURNAL))] | None = None
    event_id: Annotated[str, msgspec.Meta(pattern=STRIPE_ID)] | None = None
    run_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.RUN))] | None = None
    shortfall: Literal["write_off", "debt", "reject"] = "write_off"
    dry_run: bool = False


class ReversalAnswer(View, frozen=True, kw_only=True):
    """The result of a reversal. Of the `requested` credits some were `clawed`, some are `held` and
    taken at their release, some fell short (`shortfall`, by the policy), and some had `expired`.

    A reversed spend takes nothing: `requested` came back; of that `expired` lapsed at once, and
    `carried` went on from a day that has ended into the running one. A reversed return takes again
    what came back; debt that it had lowered is owed again, and counts as `clawed`.
    A dry run has no id: there is nothing to look up. By account a run's tells
    `GET /api/v1/runs/{run_id}/taken-back`, before and after.
    """

    id: str | msgspec.UnsetType = msgspec.UNSET
    journal_id: str | None
    of_journal_id: str | None
    of_run_id: str | None
    of_event_id: str | None
    shortfall_policy: str
    state: str
    requested: int
    clawed: int
    held: int
    shortfall: int
    expired: int
    carried: int
    journal_count: int
    skipped: int
    dry_run: bool


class ToldReversal(View, frozen=True, kw_only=True):
    """A reversal, with its progress, accounts, actor and reason.

    That of a run has a part for each account (`part_of`); `account_id` and `journal_id` are theirs.
    """

    id: str
    part_of: str | None
    account_id: str | None
    journal_id: str | None
    of_journal_id: str | None
    of_run_id: str | None
    of_event_id: str | None
    shortfall_policy: str
    state: str
    requested: int
    clawed: int
    held: int
    shortfall: int
    expired: int
    carried: int
    journal_count: int
    skipped: int
    actor: str
    reason: str
    created_at: Instant
    finished_at: Instant | None


class ReversalList(View, frozen=True, kw_only=True):
    """A page of reversals."""

    data: list[ToldReversal]
    next_cursor: str | None


@post(
    "/api/v1/reversals",
    status_code=201,
    responses={
        200: ResponseSpec(
            ReversalAnswer, description="A dry run: nothing was changed.", generate_examples=False
        ),
        202: ResponseSpec(
            ReversalAnswer, description="A run's reversal, going on.", generate_examples=False
        ),
        **problems.declared(400, 401, 403, 404, 409, 413, 422),
    },
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def reverse(
    data: JSONBody[ReversalBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[ReversalAnswer]:
    """Take back a journal, what an event did to a purchase, or a whole run.

    Once: repeating it returns the first answer.
    """
    if [data.journal_id, data.event_id, data.run_id].count(None) != 2:
        raise RefusedError("Name one of journal_id, event_id and run_id.")
    wanted = ReversalOrder(
        reason=data.reason,
        policy=Policy(data.shortfall),
        actor=caller(request).id,
        key=order(request, idempotency_key, data).key,
    )
    done = await within_patience(_reverse(state, data, wanted))
    status = 200 if done.dry_run else 201 if done.of_run_id is None else 202
    return answered(_answer(done), done.replayed, status)


@get(
    "/api/v1/reversals",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Corrections"],
    **access(Access.AUDITOR),
)
async def list_reversals(
    state: State,
    account_id: AccountFilter = None,
    run_id: RunFilter = None,
    order: FromQuery[Order] = "asc",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ReversalList:
    """List reversals by id, with amounts, actor and reason.

    Of an account all that took from it or gave to it, parts of runs' reversals too; else each run's
    as one. `run_id` finds the reversal of this run.
    """
    database = state.book.database
    query = ReversalQuery(
        of_account=await entries.of_account(database, account_id),
        run_id=row_number(ids.RUN, run_id),
        order=order,
    )
    page = await state.readings.ask(reversals, query, cursor, limit)
    return ReversalList(data=[_told(row) for row in page.rows], next_cursor=page.next_cursor)


@get(
    "/api/v1/reversals/{reversal_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Corrections"],
    **access(Access.AUDITOR),
)
async def get_reversal(reversal_id: ReversalId, state: State) -> ToldReversal:
    """Return a reversal, and how far it has come."""
    return _told(await reversal(state.book.database, ids.number(ids.REVERSAL, reversal_id)))


async def _reverse(state: State, data: ReversalBody, wanted: ReversalOrder) -> Reversed:
    if data.journal_id is not None:
        number = ids.number(ids.JOURNAL, data.journal_id)
        return await journal.reverse_journal(state.book, number, wanted, dry_run=data.dry_run)
    if data.event_id is not None:
        return await reverse_event(state.book, data.event_id, wanted, dry_run=data.dry_run)
    return await run.reverse_run(
        state.book,
        ids.number(ids.RUN, data.run_id or ""),
        wanted,
        dry_run=data.dry_run,
        within_s=RUN_REVERSAL_SECONDS_MAX,
    )


def _told(row: ReversalsUp) -> ToldReversal:
    return view_of(
        ToldReversal,
        row,
        id=ids.public(ids.REVERSAL, row["id"]),
        part_of=public_or_none(ids.REVERSAL, row["part_of"]),
        account_id=row["public_account_id"],
        shortfall_policy=row["policy"],
    )


def _answer(done: Reversed) -> ReversalAnswer:
    number = msgspec.UNSET if done.number is None else ids.public(ids.REVERSAL, done.number)
    return view_of(ReversalAnswer, done, id=number, shortfall_policy=done.policy)
