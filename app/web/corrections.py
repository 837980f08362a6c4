"""What operators do: grants, adjustments, closing, reversals."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter

from app.accounts.view import view
from app.errors import RefusedError
from app.infrastructure import ids
from app.ledger.claws import Policy
from app.ledger.kinds import AMOUNT_MAX
from app.reversals import journal, run
from app.reversals.event import reverse_event
from app.reversals.record import ReversalOrder, Reversed, find
from app.spending import corrections
from app.spending.keyed import Done
from app.web import answers, problems, views
from app.web.access import Access, access, caller
from app.web.instants import INSTANT_PATTERN
from app.web.parameters import AccountId, IdempotencyKey, moment
from app.web.patterns import STRIPE_ID, id_pattern
from app.web.requests import MaybeReason, Reason, answered, operator, order, within_patience

RUN_REVERSAL_SECONDS_MAX = 4.0

BodyInstant = Annotated[
    str, msgspec.Meta(pattern=INSTANT_PATTERN, extra_json_schema={"format": "date-time"})
]
SignedAmount = Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Priority = Annotated[int, msgspec.Meta(ge=0, le=1000, description="Low numbers burn first.")]
ReversalId = Annotated[str, PathParameter(pattern=id_pattern(ids.REVERSAL))]


class GrantBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promotional lot; without `expires_at` it never ends."""

    amount: views.Amount
    reason: Reason
    expires_at: BodyInstant | None = None
    priority: Priority | None = None


class AdjustmentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signed: positive adds credits that never end, negative takes in burn order; 0 is refused."""

    amount: SignedAmount
    reason: Reason


class ReversalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the three ids says what is reversed."""

    reason: Reason
    journal_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.JOURNAL))] | None = None
    event_id: Annotated[str, msgspec.Meta(pattern=STRIPE_ID)] | None = None
    run_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.RUN))] | None = None
    shortfall: Literal["write_off", "debt", "reject"] = "write_off"
    dry_run: bool = False


@post(
    "/api/v1/accounts/{account_id:str}/grants",
    status_code=201,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 422),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def grant_route(
    account_id: AccountId, data: JSONBody[GrantBody], idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any], state: State,
) -> Response[views.SpendAnswer]:  # fmt: skip
    """Give promotional credits."""
    granting = corrections.grant(
        state.book, account_id, data.amount,
        order(request, idempotency_key, data, data.reason),
        expires_at=moment(data.expires_at, "expires_at"), priority=data.priority,
    )  # fmt: skip
    return _acted(await within_patience(granting))


@post(
    "/api/v1/accounts/{account_id:str}/adjustments",
    status_code=201,
    responses=problems.declared(400, 401, 402, 403, 404, 409, 413, 422),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def adjust_route(
    account_id: AccountId, data: JSONBody[AdjustmentBody], idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any], state: State,
) -> Response[views.SpendAnswer]:  # fmt: skip
    """Correct a balance by hand, with a reason."""
    if data.amount == 0:
        raise RefusedError("An adjustment by 0 changes nothing.")
    wanted = order(request, idempotency_key, data, data.reason)
    return _acted(
        await within_patience(corrections.adjust(state.book, account_id, data.amount, wanted))
    )


def _acted(done: Done) -> Response[views.SpendAnswer]:
    return answered(answers.acted(done), done.replayed, 201)


@post(
    "/api/v1/accounts/{account_id:str}/close",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def close_route(
    account_id: AccountId, request: Request[Any, Any, Any], state: State, data: MaybeReason = None
) -> views.AccountAnswer:
    """End the account's grants; what it has can still be spent. A reason may come along."""
    await corrections.close(state.book, account_id, operator(request, data))
    return answers.account(await view(state.book, account_id))


@post(
    "/api/v1/reversals",
    status_code=201,
    responses={
        200: ResponseSpec(
            views.ReversalAnswer, description="A dry run: nothing was changed.",
            generate_examples=False,
        ),
        202: ResponseSpec(
            views.ReversalAnswer, description="A run's reversal, going on.", generate_examples=False
        ),
        **problems.declared(400, 401, 403, 404, 409, 413, 422),
    },
    tags=["Corrections"],
    **access(Access.OPERATOR),
)  # fmt: skip
async def reverse_route(
    data: JSONBody[ReversalBody], idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any], state: State,
) -> Response[views.ReversalAnswer]:  # fmt: skip
    """Reverse a journal, an event's purchase, refund or dispute, or a whole run.

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
    return _reversed(await within_patience(_reverse(state, data, wanted)))


async def _reverse(state: State, data: ReversalBody, wanted: ReversalOrder) -> Reversed:
    if data.journal_id is not None:
        number = ids.number(ids.JOURNAL, data.journal_id)
        return await journal.reverse_journal(state.book, number, wanted, dry_run=data.dry_run)
    if data.event_id is not None:
        return await reverse_event(state.book, data.event_id, wanted, dry_run=data.dry_run)
    return await run.reverse_run(
        state.book, ids.number(ids.RUN, data.run_id or ""), wanted,
        dry_run=data.dry_run, within_s=RUN_REVERSAL_SECONDS_MAX,
    )  # fmt: skip


def _reversed(one: Reversed) -> Response[views.ReversalAnswer]:
    whole_run = one.of_run_id is not None
    status = 200 if one.dry_run else 202 if whole_run else 201
    return answered(answers.reversal(one), one.replayed, status)


@get(
    "/api/v1/reversals/{reversal_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def get_reversal(reversal_id: ReversalId, state: State) -> views.ReversalAnswer:
    """A reversal, as far as it has come."""
    number = ids.number(ids.REVERSAL, reversal_id)
    return answers.reversal(await find(state.book.database, number))
