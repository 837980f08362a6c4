"""Events as Stripe sent them, the verdicts on them, and an operator's replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import orjson
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from app.audit import entries, life_cycle
from app.audit.life_cycle import EventQuery, Order
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import MaybeReason, operator
from app.web.http.instants import Instant
from app.web.http.parameters import AccountFilter, Cursor, EventId, Limit
from app.web.http.patterns import EVENT_TYPE, STRIPE_ID
from app.web.http.views import View, view_of
from app.webhooks.inbox import Verdict
from app.webhooks.replay import replay

if TYPE_CHECKING:
    from app.audit.row_types import LifeCycleEvent


SubscriptionFilter = Annotated[str | None, QueryParameter(pattern=STRIPE_ID)]
CustomerFilter = Annotated[str | None, QueryParameter(pattern=STRIPE_ID)]
TypeFilter = Annotated[
    str | None,
    QueryParameter(name="type", pattern=EVENT_TYPE, description="Such as invoice.paid."),
]


class EventAnswer(View, frozen=True, kw_only=True):
    """An event as received, and its verdict."""

    id: str
    type: str
    api_version: str | None
    livemode: bool
    created_at: Instant
    received_at: Instant
    verdict: str
    reason: str
    error: str | None
    delivery_count: int
    attempt_count: int
    next_attempt_at: Instant | None
    subscription_id: str | None
    stripe_customer_id: str | None


class DeliveryAnswer(View, frozen=True, kw_only=True):
    """The verdict at one delivery of an event, or at one later try of its effects."""

    received_at: Instant
    verdict: str
    reason: str


class EventDetail(EventAnswer, frozen=True, kw_only=True):
    """An event with what Stripe sent, and the newest 1,000 rulings on it, oldest first."""

    payload: dict[str, Any]
    deliveries: list[DeliveryAnswer]


class EventList(View, frozen=True, kw_only=True):
    """A page of the inbox, by (received_at, id)."""

    data: list[EventAnswer]
    next_cursor: str | None


class ReplayAnswer(View, frozen=True, kw_only=True):
    """The outcome of the replay, and the event's own verdict after it."""

    event_id: str
    outcome: str
    verdict: str
    reason: str


@get(
    "/api/v1/events",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def list_events(
    state: State,
    verdict: FromQuery[Verdict | None] = None,
    event_type: TypeFilter = None,
    subscription_id: SubscriptionFilter = None,
    stripe_customer_id: CustomerFilter = None,
    account_id: AccountFilter = None,
    order: FromQuery[Order] = "asc",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> EventList:
    """List Stripe's events in the order of receipt, filtered, without their payloads.

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
    page = await state.readings.ask(life_cycle.events, query, cursor, limit)
    return EventList(data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor)


@get(
    "/api/v1/events/{event_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Life cycle"],
    **access(Access.AUDITOR),
)
async def get_event(event_id: EventId, state: State) -> EventDetail:
    """Return an event as Stripe sent it, and the verdict on each delivery with its reason."""
    row = await life_cycle.event(state.book.database, event_id)
    deliveries = await life_cycle.deliveries(state.book.database, event_id)
    return EventDetail(
        **msgspec.structs.asdict(_answer(row)),
        payload=orjson.loads(row["payload"]),
        deliveries=[view_of(DeliveryAnswer, one) for one in deliveries],
    )


@post(
    "/api/v1/events/{event_id:str}/replay",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413),
    tags=["Life cycle"],
    **access(Access.OPERATOR),
)
async def replay_event(
    event_id: EventId, request: Request[Any, Any, Any], state: State, data: MaybeReason = None
) -> ReplayAnswer:
    """Try a stored event again; what was applied is not applied twice."""
    return view_of(ReplayAnswer, await replay(state.book, event_id, operator(request, data)))


def _answer(row: LifeCycleEvent) -> EventAnswer:
    return view_of(
        EventAnswer, row, reason=row["verdict_reason"], stripe_customer_id=row["customer_id"]
    )
