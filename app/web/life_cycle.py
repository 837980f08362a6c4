"""What auditors ask of the life cycle: subscriptions, transitions, the inbox."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, PathParameter, QueryParameter

from app.audit import entries, life_cycle
from app.audit.life_cycle import EventQuery, Order, SubscriptionQuery
from app.web import problems, report_answers, report_views
from app.web.access import Access, access
from app.web.ledger import AccountFilter
from app.web.parameters import Cursor, EventId, Limit
from app.web.patterns import EVENT_TYPE, STRIPE_ID
from app.webhooks.inbox import Verdict
from statemachine import State as SubscriptionState

SubscriptionId = Annotated[str, PathParameter(pattern=STRIPE_ID)]
SubscriptionFilter = Annotated[str | None, QueryParameter(pattern=STRIPE_ID)]
CustomerFilter = Annotated[str | None, QueryParameter(pattern=STRIPE_ID)]
TypeFilter = Annotated[
    str | None,
    QueryParameter(name="type", pattern=EVENT_TYPE, description="Such as invoice.paid."),
]


@get(
    "/api/v1/subscriptions",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_subscriptions(
    state: State, account_id: AccountFilter = None,
    subscription_state: Annotated[SubscriptionState | None, QueryParameter(name="state")] = None,
    cursor: Cursor = None, limit: Limit = 100,
) -> report_views.SubscriptionList:  # fmt: skip
    """Subscriptions by id, filtered."""
    database = state.book.database
    query = SubscriptionQuery(
        of_account=await entries.of_account(database, account_id),
        state=subscription_state,
    )
    page = await life_cycle.subscriptions(database, query, cursor, limit)
    return report_answers.subscriptions(page)


@get(
    "/api/v1/subscriptions/{subscription_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def get_subscription(
    subscription_id: SubscriptionId, state: State
) -> report_views.AuditedSubscription:
    """A subscription: our state beside Stripe's status, whose it is, and what it gives."""
    row = await life_cycle.subscription(state.book.database, subscription_id)
    return report_answers.subscription(row)


@get(
    "/api/v1/subscriptions/{subscription_id:str}/transitions",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_transitions(
    subscription_id: SubscriptionId, state: State, cursor: Cursor = None, limit: Limit = 100
) -> report_views.TransitionList:
    """A subscription's steps through the state machine, oldest first, with the event of each."""
    page = await life_cycle.transitions(
        state.book.database, state.horizons, subscription_id, cursor, limit
    )
    return report_answers.transitions(page)


@get(
    "/api/v1/events",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_events(
    state: State, verdict: FromQuery[Verdict | None] = None, event_type: TypeFilter = None,
    subscription_id: SubscriptionFilter = None, stripe_customer_id: CustomerFilter = None,
    account_id: AccountFilter = None, order: FromQuery[Order] = "asc",
    cursor: Cursor = None, limit: Limit = 100,
) -> report_views.EventList:  # fmt: skip
    """The inbox in order of receipt, filtered, without the payloads.

    An account's events are those of the customers that are tied to it now.
    """
    database = state.book.database
    query = EventQuery(
        verdict=verdict,
        type=event_type,
        subscription_id=subscription_id,
        customer_id=stripe_customer_id,
        of_account=await entries.of_account(database, account_id),
        order=order,
    )
    page = await life_cycle.events(database, state.horizons, query, cursor, limit)
    return report_answers.events(page)


@get(
    "/api/v1/events/{event_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def get_event(event_id: EventId, state: State) -> report_views.EventDetail:
    """An event as Stripe sent it, and what was ruled at each delivery and why."""
    row = await life_cycle.event(state.book.database, event_id)
    deliveries = await life_cycle.deliveries(state.book.database, event_id)
    return report_answers.event_detail(row, deliveries)
