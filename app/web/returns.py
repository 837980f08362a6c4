"""Returns: part of a spend comes back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.errors import RefusedError
from app.infrastructure import ids
from app.ledger.idempotency import key_if_given
from app.reversals.returns import ReturnOrder, give_back
from app.spending.keyed import Done
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import Amount, Metadata, Reason, answered, order
from app.web.http.parameters import AccountId, IdempotencyKey
from app.web.http.patterns import KEY, id_pattern
from app.web.http.views import View


class ReturnBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the three names what was spent; without an amount all that is left comes back."""

    spend_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.JOURNAL))] | None = None
    hold_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.HOLD))] | None = None
    of_idempotency_key: (
        Annotated[str, msgspec.Meta(pattern=KEY, min_length=1, max_length=255)] | None
    ) = None
    amount: Amount | None = None
    reason: Reason | None = None
    metadata: Metadata | None = None


class ReturnAnswer(View, frozen=True, kw_only=True):
    """The credits that came back. `returned` counts all returns of these spends; `carried` is
    the part that went from a day that has ended into the running one.
    """

    id: str
    account_id: str
    spend_ids: list[str]
    amount: int
    returned: int
    carried: int
    balance: int
    available: int


@post(
    "/api/v1/accounts/{account_id:str}/returns",
    status_code=201,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 422),
    tags=["Spends"],
    **access(Access.SPENDING),
)
async def return_credits(
    account_id: AccountId,
    data: JSONBody[ReturnBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[ReturnAnswer]:
    """Give back part of a spend, or of a hold's captures, to the lots that it came from.

    Several times, up to what was spent.
    """
    if [data.spend_id, data.hold_id, data.of_idempotency_key].count(None) != 2:
        raise RefusedError("Name one of spend_id, hold_id and of_idempotency_key.")
    wanted = ReturnOrder(
        spend=ids.number(ids.JOURNAL, data.spend_id or ""),
        hold=ids.number(ids.HOLD, data.hold_id or ""),
        of_key=key_if_given(data.of_idempotency_key, state.key_secret),
        amount=data.amount,
    )
    keyed = order(request, idempotency_key, data)
    returning = partial(give_back, state.spending, account_id, wanted, keyed)
    done = await state.turns.act(account_id, returning)
    return answered(_answer(done), done.replayed, 201)


def _answer(done: Done) -> ReturnAnswer:
    spends = msgspec.convert(done.answer["spends"], list[ids.JournalNumber])
    named = {
        "id": ids.public(ids.JOURNAL, done.journal_id),
        "spend_ids": [ids.public(ids.JOURNAL, number) for number in spends],
    }
    return msgspec.convert(done.answer | named, ReturnAnswer)
