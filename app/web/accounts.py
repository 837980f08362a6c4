"""PUT and GET /api/v1/accounts/{account_id}."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, put
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from app.accounts.put import put as put_account
from app.accounts.view import view
from app.web import answers, problems, views
from app.web.access import Access, access, caller
from app.web.parameters import AccountId
from app.web.patterns import STRIPE_ID

CustomerId = Annotated[str, msgspec.Meta(pattern=STRIPE_ID, min_length=1, max_length=255)]
ZoneName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class AccountBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the application says of its user; an absent field is kept."""

    stripe_customer_id: CustomerId | msgspec.UnsetType = msgspec.UNSET
    time_zone: ZoneName | msgspec.UnsetType = msgspec.UNSET


@put(
    "/api/v1/accounts/{account_id:str}",
    status_code=200,
    responses={
        201: ResponseSpec(views.AccountAnswer, description="New.", generate_examples=False),
        **problems.declared(400, 401, 403, 409, 413, 422),
    },
    tags=["Accounts"],
    **access(Access.SERVICE),
)
async def put_account_route(
    account_id: AccountId,
    data: JSONBody[AccountBody],
    request: Request[Any, Any, Any],
    state: State,
) -> Response[views.AccountAnswer]:
    """Open the account of one of the application's users, or tie it to its Stripe customer."""
    customer_id = data.stripe_customer_id if data.stripe_customer_id else None
    time_zone = data.time_zone if data.time_zone else None
    new = await put_account(state.book, account_id, customer_id, time_zone, caller(request).id)
    answer = answers.account(await view(state.book, account_id))
    return Response(answer, status_code=201 if new else 200)


@get(
    "/api/v1/accounts/{account_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Accounts"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def get_account_route(account_id: AccountId, state: State) -> views.AccountAnswer:
    """The account as it stands, and what a spend would find now."""
    return answers.account(await view(state.book, account_id))
