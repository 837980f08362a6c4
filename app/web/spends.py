"""POST /api/v1/accounts/{account_id}/spends."""

from __future__ import annotations

from typing import Annotated, Any, Final

import asyncpg
import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.accounts.spend import SpendOrder, Spent, spend
from app.errors import KeyInFlightError, TallybookError
from app.ledger.idempotency import request_key
from app.web import problems, views
from app.web.access import Access, access, caller
from app.web.parameters import AccountId, IdempotencyKey

METADATA_KEYS_MAX: Final = 50

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=views.TEXT_CHARS_MAX)]
Metadata = Annotated[dict[str, Any], msgspec.Meta(max_length=METADATA_KEYS_MAX)]


class SpendBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many whole credits, and at will what for."""

    amount: views.Amount
    reason: Reason | None = None
    metadata: Metadata | None = None


@post(
    "/api/v1/accounts/{account_id:str}/spends",
    status_code=201,
    responses=problems.declared(400, 401, 402, 403, 404, 409, 413, 422),
    tags=["Spends"],
    **access(Access.SERVICE),
)
async def spend_route(
    account_id: AccountId, data: JSONBody[SpendBody], idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any], state: State,
) -> Response[views.SpendAnswer]:  # fmt: skip
    """Spend credits, all or nothing; under one key it happens once."""
    order = SpendOrder(
        account_id=account_id,
        amount=data.amount,
        actor=caller(request).id,
        key=request_key(idempotency_key, "POST", request.url.path, data),
        reason=data.reason,
        metadata=data.metadata,
    )
    return answer_spend(await once(state, order))


async def once(state: State, order: SpendOrder) -> Spent:
    """Carry out one order; a key that another account's request took meanwhile is looked up."""
    for _ in range(2):
        try:
            (result,) = await spend(state.book, [order])
        except asyncpg.UniqueViolationError:
            continue
        except asyncpg.LockNotAvailableError:
            break
        if isinstance(result, TallybookError):
            raise result
        return result
    raise KeyInFlightError("A request under this Idempotency-Key is under way; try again.")


def answer_spend(spent: Spent) -> Response[views.SpendAnswer]:
    """201, and whether it is a replay."""
    headers = {"Idempotency-Replayed": "true"} if spent.replayed else {}
    return Response(views.spent(spent), status_code=201, headers=headers)
