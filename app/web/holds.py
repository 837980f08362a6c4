"""Holds: place, look at, capture, release."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import JSONBody, PathParameter, QueryParameter

from app.audit.holds import holds as listed
from app.infrastructure import ids
from app.ledger.holds import HOLD_SECONDS_DEFAULT, HOLD_SECONDS_MAX, HoldState
from app.ledger.kinds import AMOUNT_MAX
from app.spending import hold as holds
from app.spending.hold import Capture, HoldView, Over
from app.spending.keyed import Done, Order
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import Amount, NothingBody, PurposeBody, answered, order
from app.web.http.instants import Instant
from app.web.http.parameters import AccountId, Cursor, IdempotencyKey, Limit
from app.web.http.patterns import id_pattern
from app.web.http.views import View, view_of

HoldId = Annotated[str, PathParameter(pattern=id_pattern(ids.HOLD))]
HoldStateFilter = Annotated[HoldState | None, QueryParameter(name="state")]
HoldSeconds = Annotated[
    int, msgspec.Meta(ge=1, le=HOLD_SECONDS_MAX, description="Seconds until it holds nothing.")
]


class HoldBody(PurposeBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Amount to reserve, in whole credits, and the hold's maximum lifetime."""

    amount: Amount
    expires_in_s: HoldSeconds = HOLD_SECONDS_DEFAULT


class CaptureBody(PurposeBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The final cost. The rest of the hold is given back; a cost of 0 gives all of it back.

    `over` says what becomes of an amount above the hold, or after its deadline: it is refused,
    taken of what is available, as far as that goes, or owed, up to TALLYBOOK_DEBT_MAX. A hold goes
    on after a capture that is not `final`, with what is left of it.
    """

    amount: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX, description="Whole credits.")]
    over: Over = Over.REFUSE
    final: bool = True


class ExtendBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The time that the hold lasts from now on."""

    expires_in_s: HoldSeconds


class HoldAnswer(View, frozen=True, kw_only=True):
    """A hold; `state` is held, captured, released or expired."""

    id: str
    account_id: str
    amount: int
    captured: int
    state: str
    expires_at: Instant


class CaptureAnswer(HoldAnswer, frozen=True, kw_only=True):
    """The hold after its capture. `uncovered` is what neither it nor the account had left."""

    spend_id: str | None
    uncovered: int
    balance: int
    available: int


class HoldList(View, frozen=True, kw_only=True):
    """A page of an account's holds, the newest first."""

    data: list[HoldAnswer]
    next_cursor: str | None


@post(
    "/api/v1/accounts/{account_id:str}/holds",
    status_code=201,
    responses=problems.declared(400, 401, 402, 403, 404, 409, 413, 422),
    tags=["Holds"],
    **access(Access.SPENDING),
)
async def place_hold(
    account_id: AccountId,
    data: JSONBody[HoldBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[HoldAnswer]:
    """Reserve credits; a hold past its deadline holds nothing."""
    wanted = order(request, idempotency_key, data)
    placing = partial(
        holds.place, state.spending, account_id, data.amount, data.expires_in_s, wanted
    )
    return _done(await state.turns.act(account_id, placing), 201)


@get(
    "/api/v1/holds/{hold_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Holds"],
    **access(Access.SPENDING_READ),
)
async def get_hold(hold_id: HoldId, state: State) -> HoldAnswer:
    """Return a hold as it stands now."""
    return _answer(await holds.find(state.book, ids.number(ids.HOLD, hold_id)))


@post(
    "/api/v1/holds/{hold_id:str}/capture",
    status_code=200,
    responses=problems.declared(400, 401, 402, 403, 404, 409, 413, 422),
    tags=["Holds"],
    **access(Access.SPENDING),
)
async def capture_hold(
    hold_id: HoldId,
    data: JSONBody[CaptureBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[CaptureAnswer]:
    """Spend what the job cost in the end; the rest of the hold is given back."""
    wanted = order(request, idempotency_key, data)
    number = ids.number(ids.HOLD, hold_id)
    capture = Capture(
        amount=data.amount, over=data.over, final=data.final, debt_max=state.settings.debt_max
    )
    capturing = partial(holds.capture, state.spending, number, capture, wanted)
    done = await state.turns.act(hold_id, capturing)
    members = {**done.answer, "id": _public(done)}
    members.pop("hold_id")
    # Answers that were kept before it was told say it by their amount.
    taken = members.pop("taken", data.amount)
    members["spend_id"] = ids.public(ids.JOURNAL, done.journal_id) if taken else None
    return answered(msgspec.convert(members, CaptureAnswer), done.replayed, 200)


@post(
    "/api/v1/holds/{hold_id:str}/extend",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 422),
    tags=["Holds"],
    **access(Access.SPENDING),
)
async def extend_hold(
    hold_id: HoldId,
    data: JSONBody[ExtendBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[HoldAnswer]:
    """Let the hold last longer, counted from now; seven days in all at most."""
    wanted = order(request, idempotency_key, data)
    number = ids.number(ids.HOLD, hold_id)
    extending = partial(holds.extend, state.spending, number, data.expires_in_s, wanted)
    return _done(await state.turns.act(hold_id, extending), 200)


@get(
    "/api/v1/accounts/{account_id:str}/holds",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Holds"],
    **access(Access.SPENDING_READ),
)
async def list_holds(
    account_id: AccountId,
    state: State,
    hold_state: HoldStateFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> HoldList:
    """List an account's holds as they stand now, the newest first."""
    page = await listed(state.book, account_id, hold_state, cursor, limit)
    found = [_answer(holds.of_row(row)) for row in page.rows]
    return HoldList(data=found, next_cursor=page.next_cursor)


@post(
    "/api/v1/holds/{hold_id:str}/release",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 422),
    tags=["Holds"],
    **access(Access.SPENDING),
)
async def release_hold(
    hold_id: HoldId, idempotency_key: IdempotencyKey, request: Request[Any, Any, Any], state: State
) -> Response[HoldAnswer]:
    """Give back all of the hold."""
    wanted: Order = order(request, idempotency_key, NothingBody())
    releasing = partial(holds.release, state.spending, ids.number(ids.HOLD, hold_id), wanted)
    return _done(await state.turns.act(hold_id, releasing), 200)


def _answer(hold: HoldView) -> HoldAnswer:
    return view_of(HoldAnswer, hold, id=ids.public(ids.HOLD, hold.number))


def _public(done: Done) -> str:
    return ids.public(ids.HOLD, msgspec.convert(done.answer["hold_id"], ids.HoldNumber))


def _done(done: Done, status: int) -> Response[HoldAnswer]:
    members = {"number": done.answer["hold_id"], **done.answer}
    members.pop("hold_id")
    return answered(_answer(msgspec.convert(members, HoldView)), done.replayed, status)
