"""Acts of operators on a whole account: close, reopen, suspend, resume, rename, merge."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.accounts import names, standing
from app.accounts.names import NameOrder
from app.accounts.view import view, view_of_account
from app.operators.acts import Operator
from app.web.accounts import AccountAnswer, account_answer
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import (
    BodyAccountId,
    MaybeReason,
    Reason,
    answered,
    operator,
    order,
    within_patience,
)
from app.web.http.parameters import AccountId, IdempotencyKey
from app.web.http.views import view_of
from statemachine import State as SubscriptionState


class ActBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the operator acts; unlike a close, these acts need it."""

    reason: Reason


class RenameBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The id that the account has from now on."""

    to: BodyAccountId
    reason: Reason


class MergeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account that has everything from now on."""

    into: BodyAccountId
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


@post(
    "/api/v1/accounts/{account_id:str}/rename",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 415, 422),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def rename_account(
    account_id: AccountId,
    data: JSONBody[RenameBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[AccountAnswer]:
    """Give the account another id of the application's; the one that it had keeps working."""
    wanted = _named(request, idempotency_key, data, data.reason)
    done = await within_patience(names.rename(state.book, account_id, data.to, wanted))
    answer = account_answer(await view_of_account(state.book, done.number))
    return answered(answer, done.replayed, 200)


@post(
    "/api/v1/accounts/{account_id:str}/merge",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 415, 422),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def merge_account(
    account_id: AccountId,
    data: JSONBody[MergeBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[AccountAnswer]:
    """Move all that the account has into another; its ids keep working, and mean that one."""
    wanted = _named(request, idempotency_key, data, data.reason)
    done = await within_patience(names.merge(state.book, account_id, data.into, wanted))
    answer = account_answer(await view_of_account(state.book, done.number))
    return answered(answer, done.replayed, 200)


def _named(
    request: Request[Any, Any, Any], key: str, body: msgspec.Struct, reason: str
) -> NameOrder:
    asked = order(request, key, body)
    return NameOrder(by=Operator(actor=asked.actor, reason=reason), key=asked.key)


def _operator(request: Request[Any, Any, Any], body: ActBody) -> Operator:
    return Operator(actor=caller(request).id, reason=body.reason)
