"""Subscriptions as auditors see them, and their steps through the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from litestar import get
from litestar.datastructures import State
from litestar.params import PathParameter, QueryParameter

from app.audit import entries, life_cycle
from app.audit.life_cycle import SubscriptionQuery
from app.infrastructure import ids
from app.web.accounts import SubscriptionAnswer, subscription_answer
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import Instant
from app.web.http.parameters import AccountFilter, Cursor, Limit
from app.web.http.patterns import STRIPE_ID
from app.web.http.views import View, view_of
from statemachine import State as SubscriptionState

if TYPE_CHECKING:
    from app.audit.row_types import LifeCycleSubscriptions


SubscriptionId = Annotated[str, PathParameter(pattern=STRIPE_ID)]
StateFilter = Annotated[SubscriptionState | None, QueryParameter(name="state")]


class AuditedSubscription(SubscriptionAnswer, frozen=True, kw_only=True):
    """A subscription, its account, and the newest event about it."""

    account_id: str | None
    last_event_id: str | None
    last_event_at: Instant | None


class SubscriptionList(View, frozen=True, kw_only=True):
    """A page of subscriptions, by id."""

    data: list[AuditedSubscription]
    next_cursor: str | None


class TransitionAnswer(View, frozen=True, kw_only=True):
    """A stored step of the state machine; ``from_state`` is null at its begin."""

    id: str
    subscription_id: str
    from_state: str | None
    to_state: str
    trigger: str
    event_id: str
    effective_at: Instant
    recorded_at: Instant


class TransitionList(View, frozen=True, kw_only=True):
    """A page of a subscription's transitions, oldest first."""

    data: list[TransitionAnswer]
    next_cursor: str | None


@get(
    "/api/v1/subscriptions",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_subscriptions(
    state: State,
    account_id: AccountFilter = None,
    subscription_state: StateFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> SubscriptionList:
    """List subscriptions by id, filtered."""
    database = state.book.database
    query = SubscriptionQuery(
        of_account=await entries.of_account(database, account_id),
        state=subscription_state,
    )
    page = await life_cycle.subscriptions(database, query, cursor, limit)
    return SubscriptionList(data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor)


@get(
    "/api/v1/subscriptions/{subscription_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def get_subscription(subscription_id: SubscriptionId, state: State) -> AuditedSubscription:
    """Return a subscription: its state, Stripe's status, its account, and its tier."""
    return _answer(await life_cycle.subscription(state.book.database, subscription_id))


@get(
    "/api/v1/subscriptions/{subscription_id:str}/transitions",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_transitions(
    subscription_id: SubscriptionId, state: State, cursor: Cursor = None, limit: Limit = 100
) -> TransitionList:
    """List a subscription's transitions, oldest first, with the event of each."""
    page = await state.readings.ask(life_cycle.transitions, subscription_id, cursor, limit)
    return TransitionList(
        data=[
            view_of(TransitionAnswer, row, id=ids.public(ids.TRANSITION, row["id"]))
            for row in page.rows
        ],
        next_cursor=page.next_cursor,
    )


def _answer(row: LifeCycleSubscriptions) -> AuditedSubscription:
    return subscription_answer(AuditedSubscription, row, account_id=row["public_account_id"])
