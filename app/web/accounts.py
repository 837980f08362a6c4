"""Accounts: open or tie one, and look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, get, put
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, QueryParameter

from app.accounts.put import CLEAR
from app.accounts.put import put as put_account_row
from app.accounts.view import AccountView, view_of_account
from app.audit.accounts import AccountQuery, accounts
from app.infrastructure import ids
from app.ledger.kinds import BALANCE_MAX
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.instants import Instant, instant_or_none
from app.web.http.parameters import AccountId, Cursor, Limit
from app.web.http.patterns import STRIPE_ID, TIER, WITHOUT_NUL
from app.web.http.views import Answer, View, view_of
from statemachine import State as SubscriptionState
from statemachine import Trigger, possible_triggers

if TYPE_CHECKING:
    from app.audit.row_types import AccountsPage, LifeCycleSubscriptions


TierFilter = Annotated[str | None, QueryParameter(name="tier", pattern=TIER)]
StateFilter = Annotated[
    SubscriptionState | None,
    QueryParameter(name="state", description="The state of the subscription that gives the tier."),
]
CreditsFilter = Annotated[int | None, QueryParameter(ge=-BALANCE_MAX, le=BALANCE_MAX)]
CustomerFilter = Annotated[str | None, QueryParameter(name="customer_id", pattern=STRIPE_ID)]
CustomerId = Annotated[str, msgspec.Meta(pattern=STRIPE_ID, min_length=1, max_length=255)]
ZoneName = Annotated[str, msgspec.Meta(pattern=WITHOUT_NUL, min_length=1, max_length=64)]


class AccountBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts that the application states of its user; an absent field is kept.

    A customer of null takes the account's customer away, as after it was deleted in Stripe.
    """

    stripe_customer_id: CustomerId | msgspec.UnsetType | None = msgspec.UNSET
    time_zone: ZoneName | msgspec.UnsetType = msgspec.UNSET


class LotAnswer(View, frozen=True, kw_only=True):
    """The rest of one grant; null in `expires_at` never expires."""

    id: str
    source: str
    free: int
    held: int
    priority: int
    expires_at: Instant | None


class SubscriptionAnswer(View, frozen=True, kw_only=True):
    """A subscription: our state beside Stripe's status.

    `grace_ends_at` is by the newest catalogue, which counts from the account's next day.
    `possible_triggers` would lead it to another state; `canceled` is final.
    """

    id: str
    stripe_customer_id: str
    state: str
    status: str | None
    possible_triggers: tuple[Trigger, ...]
    price_id: str | None
    price_ids: list[str]
    period_end_at: Instant | None
    billing_cycle: str | None
    cancel_at_period_end: bool
    cancel_at: Instant | None
    tier: str | None
    grace_tier: str | None
    grace_ends_at: Instant | None
    created_at: Instant
    updated_at: Instant


class AccountAnswer(View, frozen=True, kw_only=True):
    """An account: balance to lots as posted, the rest as a spend would find it.

    A closed one gets no grants any more; a suspended one can spend and hold nothing, so that
    `available` is 0. `aliases` are ids that it had before, and that keep working.
    """

    id: str
    stripe_customer_id: str | None
    time_zone: str
    tier: str
    state: str | None
    balance: int
    free: int
    held: int
    debt: int
    available: int
    next_grant_at: Instant | None
    closed_at: Instant | None
    suspended_at: Instant | None
    aliases: list[str]
    lots: list[LotAnswer]
    subscriptions: list[SubscriptionAnswer]


@put(
    "/api/v1/accounts/{account_id:str}",
    status_code=200,
    responses={
        201: ResponseSpec(AccountAnswer, description="New.", generate_examples=False),
        **problems.declared(400, 401, 403, 409, 413, 422),
    },
    tags=["Accounts"],
    **access(Access.SERVICE),
)
async def put_account(
    account_id: AccountId,
    data: JSONBody[AccountBody],
    request: Request[Any, Any, Any],
    state: State,
) -> Response[AccountAnswer]:
    """Open the account of one of the application's users, or tie it to its Stripe customer."""
    customer_id = None if data.stripe_customer_id is msgspec.UNSET else data.stripe_customer_id
    if data.stripe_customer_id is None:
        customer_id = CLEAR
    time_zone = data.time_zone if data.time_zone else None
    by = caller(request).id
    number, new = await put_account_row(state.book, account_id, customer_id, time_zone, by)
    # By its number: the id may have been its customer's, who is tied to it no more.
    answer = account_answer(await view_of_account(state.book, number))
    return Response(answer, status_code=201 if new else 200)


class ListedAccount(View, frozen=True, kw_only=True):
    """An account as last posted: a tick old at most, or as a dormant one was last opened."""

    id: str
    stripe_customer_id: str | None
    time_zone: str
    tier: str
    state: str | None
    balance: int
    free: int
    held: int
    debt: int
    available: int
    opened_at: Instant
    closed_at: Instant | None
    suspended_at: Instant | None


class AccountList(View, frozen=True, kw_only=True):
    """A page of accounts, in the order in which they were opened."""

    data: list[ListedAccount]
    next_cursor: str | None


@get(
    "/api/v1/accounts",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Accounts"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def list_accounts(
    state: State,
    tier: TierFilter = None,
    subscription_state: StateFilter = None,
    available_lt: CreditsFilter = None,
    available_gte: CreditsFilter = None,
    debt_gt: CreditsFilter = None,
    closed: FromQuery[bool | None] = None,
    suspended: FromQuery[bool | None] = None,
    customer_id: CustomerFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AccountList:
    """List accounts as last posted. One that was merged into another is not listed."""
    query = AccountQuery(
        tier=tier,
        state=subscription_state,
        available_lt=available_lt,
        available_gte=available_gte,
        debt_gt=debt_gt,
        closed=closed,
        suspended=suspended,
        customer_id=customer_id,
    )
    async with state.reports.room():
        page = await accounts(state.book.database, query, cursor, limit)
    return AccountList(data=[_listed(row) for row in page.rows], next_cursor=page.next_cursor)


def _listed(row: AccountsPage) -> ListedAccount:
    return view_of(
        ListedAccount,
        row,
        id=row["public_id"],
        stripe_customer_id=row["customer_id"],
        balance=row["free"] + row["held"] - row["debt"],
    )


@get(
    "/api/v1/accounts/{account_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Accounts"],
    **access(Access.ACCOUNTS_READ),
)
async def get_account(account_id: AccountId, state: State) -> AccountAnswer:
    """Return an account as it stands, and what a spend would find now."""
    return account_answer(await state.views.of(account_id))


def account_answer(one: AccountView) -> AccountAnswer:
    """The account's answer; by hand, since an application asks for it before each of its acts."""
    return AccountAnswer(
        id=one.public_id,
        stripe_customer_id=one.customer_id,
        time_zone=one.time_zone,
        tier=one.tier,
        state=one.state,
        balance=one.balance,
        free=one.free,
        held=one.held,
        debt=one.debt,
        available=one.available,
        next_grant_at=instant_or_none(one.next_grant_at),
        closed_at=instant_or_none(one.closed_at),
        suspended_at=instant_or_none(one.suspended_at),
        aliases=one.aliases,
        lots=[
            LotAnswer(
                id=ids.public(ids.LOT, lot.number),
                source=lot.source,
                free=lot.free,
                held=lot.held,
                priority=lot.priority,
                expires_at=instant_or_none(lot.expires_at),
            )
            for lot in one.lots
        ],
        subscriptions=[subscription_answer(SubscriptionAnswer, row) for row in one.subscriptions],
    )


def subscription_answer(kind: type[Answer], row: LifeCycleSubscriptions, **given: object) -> Answer:
    """The answer of this kind for a subscription's row."""
    return view_of(
        kind,
        row,
        stripe_customer_id=row["customer_id"],
        possible_triggers=possible_triggers(SubscriptionState(row["state"]), row["status"]),
        **given,
    )
