"""Grants of up to a thousand accounts in one call: campaigns, and what customers bring along."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.errors import TallybookError
from app.ledger.idempotency import request_key
from app.spending.grants import GrantOrder, GrantSource, Result, grant_many
from app.spending.keyed import Order
from app.web.grants import grant_answer, grant_end
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import Amount, BodyAccountId, Reason, within_patience
from app.web.http.instants import BodyInstant
from app.web.http.patterns import REFERENCE
from app.web.http.views import View
from app.web.spends import (
    BATCH_BODY_BYTES_MAX,
    BATCH_SPENDS_MAX,
    ItemKey,
    ItemProblem,
    SpendAnswer,
    item_problem,
)

PATH = "/api/v1/grants/batch"


class GrantItemBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One grant of a batch, under its own key; `reference` names what it is for, such as an invoice
    of the system that the customer came from.
    """

    account_id: BodyAccountId
    amount: Amount
    idempotency_key: ItemKey
    reason: Reason
    source: GrantSource = GrantSource.PROMOTIONAL
    expires_at: BodyInstant | None = None
    reference: Annotated[str, msgspec.Meta(pattern=REFERENCE)] | None = None


class GrantBatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Grants that are carried out together, each for itself: one refusal stops no other."""

    grants: Annotated[list[GrantItemBody], msgspec.Meta(min_length=1, max_length=BATCH_SPENDS_MAX)]


class GrantItemAnswer(View, frozen=True, kw_only=True):
    """One grant's result: `status` as it would have had alone, its answer or its problem."""

    status: int
    replayed: bool
    grant: SpendAnswer | None
    problem: ItemProblem | None


class GrantBatchAnswer(View, frozen=True, kw_only=True):
    """A result for each grant, in order."""

    results: list[GrantItemAnswer]


@post(
    PATH,
    status_code=200,
    request_max_body_size=BATCH_BODY_BYTES_MAX,
    responses=problems.declared(400, 401, 403, 409, 413),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def grant_batch(
    data: JSONBody[GrantBatchBody], request: Request[Any, Any, Any], state: State
) -> GrantBatchAnswer:
    """Give credits to up to a thousand accounts, a result for each."""
    actor = caller(request).id
    orders = [grant_order(item, actor, state.key_secret) for item in data.grants]
    results = await within_patience(grant_many(state.book, orders))
    return GrantBatchAnswer(results=[_item(result) for result in results])


def grant_order(item: GrantItemBody, actor: str, secret: bytes) -> GrantOrder:
    """The order of an item; raises InvalidRequestError where its end is no instant."""
    return GrantOrder(
        account_id=item.account_id,
        amount=item.amount,
        source=item.source,
        expires_at=grant_end(item.expires_at),
        order=Order(
            actor=actor,
            key=request_key(item.idempotency_key, "POST", PATH, item, secret),
            reason=item.reason,
            metadata={"reference": item.reference} if item.reference else None,
        ),
    )


def _item(result: Result) -> GrantItemAnswer:
    if isinstance(result, TallybookError):
        return GrantItemAnswer(
            status=problems.status_of(result),
            replayed=False,
            grant=None,
            problem=item_problem(result),
        )
    return GrantItemAnswer(
        status=201, replayed=result.replayed, grant=grant_answer(result), problem=None
    )
