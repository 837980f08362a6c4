"""Adjustments: a balance corrected by hand."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.errors import RefusedError
from app.ledger.kinds import AMOUNT_MAX
from app.spending import corrections
from app.web.grants import corrected
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import Reason, order, within_patience
from app.web.http.parameters import AccountId, IdempotencyKey
from app.web.spends import SpendAnswer

SignedAmount = Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]


class AdjustmentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signed: positive adds credits that never end, negative takes in burn order; 0 is refused."""

    amount: SignedAmount
    reason: Reason


@post(
    "/api/v1/accounts/{account_id:str}/adjustments",
    status_code=201,
    responses=problems.declared(400, 401, 402, 403, 404, 409, 413, 422),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def adjust_balance(
    account_id: AccountId,
    data: JSONBody[AdjustmentBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[SpendAnswer]:
    """Correct a balance by hand, with a reason."""
    if data.amount == 0:
        raise RefusedError("An adjustment by 0 changes nothing.")
    wanted = order(request, idempotency_key, data)
    adjusting = corrections.adjust(state.book, account_id, data.amount, wanted)
    return corrected(await within_patience(adjusting))
