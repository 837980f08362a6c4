"""Grants: promotional credits that an operator gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.infrastructure import ids
from app.infrastructure.clock import NEVER
from app.spending import corrections
from app.spending.keyed import Done
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import Amount, Metadata, Reason, answered, order, within_patience
from app.web.http.instants import BodyInstant
from app.web.http.parameters import AccountId, IdempotencyKey, instant_if_given
from app.web.spends import SpendAnswer

Priority = Annotated[int, msgspec.Meta(ge=0, le=1000, description="Low numbers burn first.")]


class GrantBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promotional lot; without `expires_at`, or in the year 9999, it never ends."""

    amount: Amount
    reason: Reason
    expires_at: BodyInstant | None = None
    priority: Priority | None = None
    metadata: Metadata | None = None


@post(
    "/api/v1/accounts/{account_id:str}/grants",
    status_code=201,
    responses=problems.declared(400, 401, 403, 404, 409, 413, 422),
    tags=["Corrections"],
    **access(Access.OPERATOR),
)
async def grant_credits(
    account_id: AccountId,
    data: JSONBody[GrantBody],
    idempotency_key: IdempotencyKey,
    request: Request[Any, Any, Any],
    state: State,
) -> Response[SpendAnswer]:
    """Give promotional credits."""
    granting = corrections.grant(
        state.book,
        account_id,
        data.amount,
        order(request, idempotency_key, data),
        expires_at=grant_end(data.expires_at),
        priority=data.priority,
    )
    return corrected(await within_patience(granting))


def corrected(done: Done) -> Response[SpendAnswer]:
    """A grant's or an adjustment's response."""
    return answered(grant_answer(done), done.replayed, 201)


def grant_answer(done: Done) -> SpendAnswer:
    """A grant's or an adjustment's answer: its journal, its entries, the balance after it."""
    members = {"id": "", "entries": [], **done.answer}
    return msgspec.structs.replace(
        msgspec.convert(members, SpendAnswer),
        id=ids.public(ids.JOURNAL, done.journal_id),
        entries=[ids.public(ids.ENTRY, number) for number in done.entry_ids],
    )


def grant_end(expires_at: str | None) -> datetime | None:
    """When a grant ends; None for one that never does, such as one of the year 9999."""
    ends_at = instant_if_given(expires_at, "expires_at")
    return None if ends_at is None or ends_at.year == NEVER.year else ends_at
