"""Messages that were or are to be sent to webhook endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import PathParameter, QueryParameter

from app.audit import entries
from app.infrastructure import ids
from app.outgoing.message import EventType
from app.outgoing.messages import MessageQuery, messages, redeliver
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import MaybeReason, operator
from app.web.http.instants import Instant
from app.web.http.parameters import AccountFilter, Cursor, Limit
from app.web.http.patterns import ENDPOINT_ID, id_pattern
from app.web.http.views import View, view_of

if TYPE_CHECKING:
    from app.outgoing.row_types import MessagesNewest


MessageId = Annotated[str, PathParameter(pattern=id_pattern(ids.MESSAGE))]
EndpointFilter = Annotated[str | None, QueryParameter(pattern=ENDPOINT_ID)]
TypeFilter = Annotated[EventType | None, QueryParameter(name="type")]
MessageState = Literal["pending", "delivered", "dead", "canceled"]


class WebhookMessageAnswer(View, frozen=True, kw_only=True):
    """A message for one endpoint. `data` is the payload's, but for the account's id.

    `pending` is tried again at `next_attempt_at`; `dead` was tried for three days; `canceled` lost
    its endpoint. `last_status` is the receiver's answer, null if there was none.
    """

    id: str
    endpoint_id: str
    type: str
    account_id: str | None
    data: dict[str, Any]
    state: str
    attempt_count: int
    effective_at: Instant
    created_at: Instant
    next_attempt_at: Instant | None
    last_attempt_at: Instant | None
    last_status: int | None
    last_error: str | None
    delivered_at: Instant | None


class WebhookMessageList(View, frozen=True, kw_only=True):
    """A page of messages, oldest first."""

    data: list[WebhookMessageAnswer]
    next_cursor: str | None


@get(
    "/api/v1/webhook-messages",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def list_webhook_messages(
    state: State,
    endpoint_id: EndpointFilter = None,
    event_type: TypeFilter = None,
    message_state: Annotated[MessageState | None, QueryParameter(name="state")] = None,
    account_id: AccountFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> WebhookMessageList:
    """List the messages to all endpoints, or to one, and how far their delivery is."""
    database = state.book.database
    query = MessageQuery(
        endpoint_id=endpoint_id,
        type=event_type,
        state=message_state,
        of_account=await entries.of_account(database, account_id),
    )
    page = await messages(database, state.horizons, query, cursor, limit)
    return WebhookMessageList(
        data=[_answer(row) for row in page.rows], next_cursor=page.next_cursor
    )


@post(
    "/api/v1/webhook-messages/{message_id:str}/redeliver",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 409, 413),
    tags=["Webhooks"],
    **access(Access.OPERATOR),
)
async def redeliver_webhook_message(
    message_id: MessageId, request: Request[Any, Any, Any], state: State, data: MaybeReason = None
) -> WebhookMessageAnswer:
    """Send a message again under its id, whatever became of it before."""
    number = ids.row_number(ids.MESSAGE, message_id)
    return _answer(await redeliver(state.book, number, operator(request, data)))


def _answer(row: MessagesNewest) -> WebhookMessageAnswer:
    return view_of(
        WebhookMessageAnswer,
        row,
        id=ids.public(ids.MESSAGE, row["id"]),
        account_id=row["public_account_id"],
        data=orjson.loads(row["data"]),
        **({} if row["state"] == "pending" else {"next_attempt_at": None}),
    )
