"""What operators do to an account as a whole: close, reopen, suspend, resume."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.accounts import standing
from app.accounts.view import view
from app.operators.acts import Operator
from app.web.accounts import AccountAnswer, account_answer
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import MaybeReason, Reason, operator
from app.web.http.parameters import AccountId
from app.web.http.views import view_of
from statemachine import State as SubscriptionState


class ActBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the operator acts; unlike a close, these acts need it."""

    reason: Reason


class ClosedAccountAnswer(AccountAnswer, frozen=True, kw_only=True):
    """A closed account; `still_billed` are its subscriptions that Stripe goes on charging for."""

    still_billed: list[str]


@post(
    "/api/v1/accounts/{account_id:str}/close",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def close_account(
    account_id: AccountId, request: Request[Any, Any, Any], state: State, data: MaybeReason = None
) -> ClosedAccountAnswer:
    """End the account's grants; what it has can still be spent. A reason may come along.

    It opens again if its owner subscribes or buys.
    """
    await standing.close(state.book, account_id, operator(request, data))
    answer = account_answer(await view(state.book, account_id))
    billed = (SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE)
    still = [one.id for one in answer.subscriptions if one.state in billed]
    return view_of(ClosedAccountAnswer, answer, still_billed=still)


@post(
    "/api/v1/accounts/{account_id:str}/reopen",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 415),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def reopen_account(
    account_id: AccountId,
    data: JSONBody[ActBody],
    request: Request[Any, Any, Any],
    state: State,
) -> AccountAnswer:
    """Give a closed account its days again, today's too."""
    await standing.reopen(state.book, account_id, _operator(request, data))
    return account_answer(await view(state.book, account_id))


@post(
    "/api/v1/accounts/{account_id:str}/suspend",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413, 415),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def suspend_account(
    account_id: AccountId,
    data: JSONBody[ActBody],
    request: Request[Any, Any, Any],
    state: State,
) -> AccountAnswer:
    """Let nothing be spent or held until the account is resumed; what is held goes on."""
    await standing.suspend(state.book, account_id, _operator(request, data))
    return account_answer(await view(state.book, account_id))


@post(
    "/api/v1/accounts/{account_id:str}/resume",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413, 415),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def resume_account(
    account_id: AccountId,
    data: JSONBody[ActBody],
    request: Request[Any, Any, Any],
    state: State,
) -> AccountAnswer:
    """End a suspension, and open today's day."""
    await standing.resume(state.book, account_id, _operator(request, data))
    return account_answer(await view(state.book, account_id))


def _operator(request: Request[Any, Any, Any], body: ActBody) -> Operator:
    return Operator(actor=caller(request).id, reason=body.reason)
