"""Endpoints that are told of what happens, by webhooks in the Standard Webhooks format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter

from app.infrastructure.settings import Settings
from app.operators.acts import Operator
from app.outgoing import endpoints
from app.outgoing.addresses import URL_CHARS_MAX
from app.outgoing.endpoints import Endpoint, endpoint_of
from app.outgoing.message import EventType
from app.outgoing.messages import redeliver_span
from app.outgoing.sending import Sender
from app.web.http import problems
from app.web.http.access import Access, access, caller
from app.web.http.acts import TEXT_CHARS_MAX, MaybeReason, Reason, operator
from app.web.http.instants import BodyInstant, Instant
from app.web.http.parameters import Cursor, Limit, parse_instant
from app.web.http.patterns import ENDPOINT_ID, PAGE_URL, WITHOUT_NUL
from app.web.http.views import View, view_of

if TYPE_CHECKING:
    from app.outgoing.row_types import EndpointsFind


EndpointId = Annotated[
    str, PathParameter(pattern=ENDPOINT_ID, description="The endpoint's id, chosen by operators.")
]
Why = Annotated[
    str | None, QueryParameter(pattern=WITHOUT_NUL, min_length=1, max_length=TEXT_CHARS_MAX)
]


class WebhookEndpointBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address and the types of events that go there; all, and later ones too, if absent.

    `ordered` sends an account's messages one after another, so that one that fails holds up the
    account's next. A PUT replaces what stood, and enables an endpoint that was disabled.
    """

    url: Annotated[
        str,
        msgspec.Meta(
            pattern=PAGE_URL,
            max_length=URL_CHARS_MAX,
            description="An https address; http only in a network of TALLYBOOK_WEBHOOKS_PRIVATE.",
        ),
    ]
    events: Annotated[list[EventType], msgspec.Meta(min_length=1, max_length=100)] | None = None
    ordered: bool = False
    reason: Reason | None = None


class WebhookSpanBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The span of time, half-open; messages with a `created_at` in it are sent again."""

    created_from: BodyInstant
    created_to: BodyInstant
    reason: Reason | None = None


class WebhookEndpointAnswer(View, frozen=True, kw_only=True):
    """An endpoint. `events` null means every type.

    `secret` verifies its messages; it is shown when the endpoint is made and when the secret is
    rolled, and null ever after. Until `also_signs_until` the secret before it signs too. While
    nothing arrives `failing_since` says since when; after days of it, or a 410, the endpoint is
    disabled, until a PUT.
    """

    id: str
    url: str
    events: list[str] | None
    ordered: bool
    secret: str | None
    also_signs_until: Instant | None
    pending_count: int
    created_at: Instant
    failing_since: Instant | None
    disabled_at: Instant | None
    disabled_reason: str | None


class WebhookEndpointList(View, frozen=True, kw_only=True):
    """A page of endpoints, by id."""

    data: list[WebhookEndpointAnswer]
    next_cursor: str | None


class WebhookSpanAnswer(View, frozen=True, kw_only=True):
    """The number of messages that are sent again."""

    message_count: int


@put(
    "/api/v1/webhook-endpoints/{endpoint_id:str}",
    status_code=200,
    responses={
        201: ResponseSpec(WebhookEndpointAnswer, description="New.", generate_examples=False),
        **problems.declared(400, 401, 403, 409, 413, 422),
    },
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def put_webhook_endpoint(
    endpoint_id: EndpointId,
    data: JSONBody[WebhookEndpointBody],
    request: Request[Any, Any, Any],
    state: State,
) -> Response[WebhookEndpointAnswer]:
    """Make an endpoint (201, with its secret), or change one."""
    stands = await endpoints.put(
        state.book,
        sender_of(state.settings),
        endpoint_id,
        data.url,
        data.events,
        data.ordered,
        Operator(actor=caller(request).id, reason=data.reason),
    )
    return Response(_answer(stands), status_code=200 if stands.secret is None else 201)


@get(
    "/api/v1/webhook-endpoints",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def list_webhook_endpoints(
    state: State, cursor: Cursor = None, limit: Limit = 100
) -> WebhookEndpointList:
    """List the endpoints, without their secrets."""
    page = await endpoints.listed(state.book.database, cursor, limit)
    return WebhookEndpointList(
        data=[_answer_of_row(row) for row in page.rows], next_cursor=page.next_cursor
    )


@get(
    "/api/v1/webhook-endpoints/{endpoint_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def get_webhook_endpoint(endpoint_id: EndpointId, state: State) -> WebhookEndpointAnswer:
    """Return an endpoint and how it stands, without its secret."""
    return _answer(await endpoints.get(state.book.database, endpoint_id))


@delete(
    "/api/v1/webhook-endpoints/{endpoint_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def delete_webhook_endpoint(
    endpoint_id: EndpointId, request: Request[Any, Any, Any], state: State, reason: Why = None
) -> None:
    """Delete an endpoint; what waited for it is canceled."""
    by = Operator(actor=caller(request).id, reason=reason)
    await endpoints.delete(state.book, endpoint_id, by)


@post(
    "/api/v1/webhook-endpoints/{endpoint_id:str}/roll-secret",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def roll_webhook_secret(
    endpoint_id: EndpointId, request: Request[Any, Any, Any], state: State, data: MaybeReason = None
) -> WebhookEndpointAnswer:
    """Make another secret and show it; the one before signs too for a day."""
    by = operator(request, data)
    return _answer(
        await endpoints.roll_secret(state.book, sender_of(state.settings), endpoint_id, by)
    )


@post(
    "/api/v1/webhook-endpoints/{endpoint_id:str}/redeliver",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def redeliver_webhook_messages(
    endpoint_id: EndpointId,
    data: JSONBody[WebhookSpanBody],
    request: Request[Any, Any, Any],
    state: State,
) -> WebhookSpanAnswer:
    """Send again all that the endpoint was sent in a span of time, delivered or not."""
    count = await redeliver_span(
        state.book,
        endpoint_id,
        parse_instant(data.created_from, "created_from"),
        parse_instant(data.created_to, "created_to"),
        Operator(actor=caller(request).id, reason=data.reason),
    )
    return WebhookSpanAnswer(message_count=count)


def sender_of(settings: Settings) -> Sender:
    """The settings of delivery."""
    return Sender(pepper=settings.key_pepper, allowed=settings.webhooks_private)


def _answer(stands: Endpoint) -> WebhookEndpointAnswer:
    return view_of(WebhookEndpointAnswer, stands)


def _answer_of_row(row: EndpointsFind) -> WebhookEndpointAnswer:
    return _answer(endpoint_of(row))
