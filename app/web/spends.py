"""Spends: one, or up to a thousand at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.errors import TallybookError
from app.infrastructure import ids
from app.ledger.idempotency import request_key
from app.spending.orders import SpendOrder, Spent
from app.spending.queue import Outcome
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import Amount, BodyAccountId, PurposeBody, answered
from app.web.http.instants import Instant, instant
from app.web.http.parameters import AccountId, IdempotencyKey
from app.web.http.patterns import KEY
from app.web.http.views import View

BATCH_SPENDS_MAX: Final = 1_000
BATCH_BODY_BYTES_MAX: Final = 1_048_576

ItemKey = Annotated[str, msgspec.Meta(pattern=KEY, min_length=1, max_length=255)]


class SpendBody(PurposeBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Amount to spend, in whole credits, and what it is for."""

    amount: Amount


class BatchItemBody(PurposeBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One spend of a batch, under its own key."""

    account_id: BodyAccountId
    amount: Amount
    idempotency_key: ItemKey


class BatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spends that are carried out together, each for itself: one refusal stops no other."""

    spends: Annotated[list[BatchItemBody], msgspec.Meta(min_length=1, max_length=BATCH_SPENDS_MAX)]


class SpendAnswer(View, frozen=True, kw_only=True):
    """A spend, grant or adjustment that stands; ``entries`` are ids, one for each lot it moved."""

    id: str
    account_id: str
    amount: int
    balance: int
    available: int
    entries: list[str]


class ItemProblem(msgspec.Struct, frozen=True, kw_only=True):
    """The refusal of one item, with the facts of the problem that it would have had alone."""

    code: str
    detail: str
    retryable: bool
    available: int | None = None
    required: int | None = None
    next_grant_at: Instant | None = None


class BatchItemAnswer(View, frozen=True, kw_only=True):
    """One spend's result: `status` as it would have had alone, its answer or its problem."""

    status: int
    spend: SpendAnswer | None
    problem: ItemProblem | None


class BatchAnswer(View, frozen=True, kw_only=True):
    """A result for each spend, in order."""

    results: list[BatchItemAnswer]


@post(
    "/api/v1/accounts/{account_id:str}/spends",
    status_code=201,
    responses=problems.declared(400, 401, 402, 403, 404, 409, 413, 422),
    tags=["Spends"],
    **access(Access.SPENDING),
)
async def spend(
    account_id: AccountId,
    data: JSONBody[SpendBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[SpendAnswer]:
    """Spend credits, all or nothing; under one key it happens once."""
    order = _order(account_id, data, idempotency_key, caller(request).id, state.key_secret)
    with state.metrics.spend_seconds.time():
        result = await state.spends.spend(order)
    if isinstance(result, TallybookError):
        raise result
    return answered(_answer(result), result.replayed, 201)


@post(
    "/api/v1/spends/batch",
    status_code=200,
    request_max_body_size=BATCH_BODY_BYTES_MAX,
    responses=problems.declared(400, 401, 403, 413),
    tags=["Spends"],
    **access(Access.SPENDING),
)
async def spend_batch(
    data: JSONBody[BatchBody], request: Request[Any, Any, Any], state: State
) -> BatchAnswer:
    """Carry out up to a thousand spends, a result for each."""
    actor = caller(request).id
    orders = [
        _order(
            item.account_id,
            SpendBody(
                amount=item.amount,
                reason=item.reason,
                metadata=item.metadata,
                label=item.label,
                member=item.member,
            ),
            item.idempotency_key,
            actor,
            state.key_secret,
        )
        for item in data.spends
    ]
    results = await state.spends.batch(orders)
    return BatchAnswer(results=[_item(result) for result in results])


def _order(account_id: str, body: SpendBody, key: str, actor: str, secret: bytes) -> SpendOrder:
    # The batch's items hash as the single calls do: a retry may go either way.
    path = f"/api/v1/accounts/{account_id}/spends"
    return SpendOrder(
        account_id=account_id,
        amount=body.amount,
        actor=actor,
        key=request_key(key, "POST", path, body, secret),
        reason=body.reason,
        metadata=body.metadata,
        label=body.label,
        member=body.member,
    )


def _answer(spent: Spent) -> SpendAnswer:
    return SpendAnswer(
        id=ids.public(ids.JOURNAL, spent.journal_id),
        account_id=spent.account_id,
        amount=spent.amount,
        balance=spent.balance,
        available=spent.available,
        entries=[ids.public(ids.ENTRY, number) for number in spent.entry_ids],
    )


def _item(result: Outcome) -> BatchItemAnswer:
    if isinstance(result, Spent):
        return BatchItemAnswer(status=201, spend=_answer(result), problem=None)
    return BatchItemAnswer(
        status=problems.status_of(result), spend=None, problem=item_problem(result)
    )


def item_problem(error: TallybookError) -> ItemProblem:
    """The refusal of an item of a batch."""
    known = {
        name: instant(value) if isinstance(value, datetime) else value
        for name, value in error.facts.items()
        if name in ("available", "required", "next_grant_at")
    }
    members = {"code": error.code, "detail": error.detail, "retryable": error.retryable, **known}
    return msgspec.convert(members, ItemProblem)
