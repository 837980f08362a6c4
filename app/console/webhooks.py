"""Webhooks that we send: endpoints and their secrets, messages, and sending some again."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import PathParameter

from app.audit import entries
from app.console import forms
from app.console.access import HOME, corrects
from app.console.frame import address, done, reader_zone, show
from app.errors import InvalidRequestError, WebhookMessageUnknownError
from app.infrastructure import ids
from app.infrastructure.db import Database
from app.outgoing import endpoints
from app.outgoing.addresses import URL_CHARS_MAX
from app.outgoing.message import EventType
from app.outgoing.messages import MessageQuery, newest_before, redeliver, redeliver_span
from app.web.http.forms import form
from app.web.http.patterns import ENDPOINT_ID, PAGE_URL, id_pattern
from app.web.webhook_endpoints import sender_of

PATH: Final = f"{HOME}/webhooks"
ROWS: Final = 50
_LAST: Final = 2**63 - 1
STATES: Final = ("pending", "delivered", "dead", "canceled")
EndpointText = Annotated[str, msgspec.Meta(pattern=ENDPOINT_ID)]
EndpointId = Annotated[str, PathParameter(pattern=ENDPOINT_ID)]
MessageId = Annotated[str, PathParameter(pattern=id_pattern(ids.MESSAGE))]
Before = Annotated[int, msgspec.Meta(ge=1, le=_LAST)]
When = Annotated[str, msgspec.Meta(max_length=40)]


class MessagesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the messages, and the page: those before one."""

    endpoint_id: EndpointText | None = None
    type: EventType | None = None
    state: Literal["pending", "delivered", "dead", "canceled"] | None = None
    account_id: forms.AccountText | None = None
    before: Before = _LAST


class EndpointForm(forms.ActForm, frozen=True, kw_only=True):
    """An endpoint as it is to be; every type of event if none is named."""

    endpoint_id: EndpointText
    url: Annotated[str, msgspec.Meta(pattern=PAGE_URL, max_length=URL_CHARS_MAX)]
    events: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    ordered: bool = False


class SpanForm(forms.ActForm, frozen=True, kw_only=True):
    """The span of time; its messages are sent again."""

    created_from: When
    created_to: When


@get(PATH, **corrects(forms.names_of(MessagesQuery)))
async def webhooks(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The endpoints, and a page of what they were sent, the newest first."""
    asked = forms.query(request, MessagesQuery)
    database: Database = state.book.database
    query = MessageQuery(
        endpoint_id=asked.endpoint_id,
        type=asked.type,
        state=asked.state,
        of_account=await entries.of_account(database, asked.account_id),
    )
    rows = await newest_before(database, query, asked.before, ROWS + 1)
    page = await endpoints.listed(database, None, endpoints.ENDPOINTS_MAX)
    sent = {name: value for name, value in forms.sent(asked).items() if name != "before"}
    return show(
        request,
        "webhooks.html",
        here=PATH,
        asked=sent,
        endpoints=page.rows,
        messages=rows[:ROWS],
        types=forms.choices(EventType),
        states=forms.choices(STATES),
        next_path=address(PATH, **sent, before=rows[ROWS - 1]["id"]) if len(rows) > ROWS else None,
        first_path=address(PATH, **sent) if asked.before != _LAST else None,
    )


@get(f"{PATH}/messages/{{message_id:str}}", **corrects())
async def message(
    message_id: MessageId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """One message: what it says, and how its delivery went."""
    database: Database = state.book.database
    number = ids.row_number(ids.MESSAGE, message_id)
    rows = await newest_before(database, MessageQuery(), number + 1, 1)
    if not rows or rows[0]["id"] != number:
        raise WebhookMessageUnknownError(
            f"There is no message {message_id}; they are kept for 30 days."
        )
    data = orjson.dumps(orjson.loads(rows[0]["data"]), option=orjson.OPT_INDENT_2).decode()
    return show(
        request,
        "webhook_message.html",
        here=PATH,
        message=rows[0],
        message_id=message_id,
        data=data,
    )


@post(f"{PATH}/messages/{{message_id:str}}/redeliver", status_code=200, **corrects())
async def redeliver_one(
    message_id: MessageId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Send a message again."""
    act = await form(request, forms.ActForm)
    number = ids.row_number(ids.MESSAGE, message_id)
    await forms.once(request, act, partial(redeliver, state.book, number))
    return await done(request, f"{PATH}/messages/{message_id}", "It is sent again.")


@post(PATH, status_code=200, **corrects())
async def put(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Make an endpoint, and show its secret this once; or change one, and enable it."""
    act = await form(request, EndpointForm)
    sender, events = sender_of(state.settings), _events(act.events)
    stands = await forms.once(
        request,
        act,
        partial(endpoints.put, state.book, sender, act.endpoint_id, act.url, events, act.ordered),
    )
    if stands is not None and stands.secret is None:
        return await done(request, PATH, f"{act.endpoint_id} was changed.")
    secret = stands.secret if stands else None
    return await _secret(request, state, act.endpoint_id, secret)


@post(f"{PATH}/endpoints/{{endpoint_id:str}}/roll-secret", status_code=200, **corrects())
async def roll_secret(
    endpoint_id: EndpointId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Make another secret and show it this once; the one before signs too for a day."""
    act = await form(request, forms.ActForm)
    rolling = partial(endpoints.roll_secret, state.book, sender_of(state.settings), endpoint_id)
    stands = await forms.once(request, act, rolling)
    return await _secret(request, state, endpoint_id, stands.secret if stands else None)


@post(f"{PATH}/endpoints/{{endpoint_id:str}}/delete", status_code=200, **corrects())
async def delete(
    endpoint_id: EndpointId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Delete an endpoint; what waited for it is canceled."""
    act = await form(request, forms.ActForm)
    await forms.once(request, act, partial(endpoints.delete, state.book, endpoint_id))
    return await done(request, PATH, f"{endpoint_id} was deleted.")


@post(f"{PATH}/endpoints/{{endpoint_id:str}}/redeliver", status_code=200, **corrects())
async def redeliver_time(
    endpoint_id: EndpointId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Send again all that an endpoint was told in a time."""
    act = await form(request, SpanForm)
    zone = reader_zone(request)
    start = forms.instant(act.created_from, zone, "created_from")
    until = forms.instant(act.created_to, zone, "created_to")
    assert start is not None
    assert until is not None
    sending = partial(redeliver_span, state.book, endpoint_id, start, until)
    count = await forms.once(request, act, sending)
    told = "They are sent again." if count is None else f"{count:,} messages are sent again."
    return await done(request, PATH, told)


async def _secret(
    request: Request[Any, Any, Any], state: State, endpoint_id: str, secret: str | None
) -> Response[Any]:
    """Show a new secret; sent twice, the form shows the same."""
    if secret is None:
        secret = await endpoints.secret_of(state.book, sender_of(state.settings), endpoint_id)
    return show(
        request,
        "secret.html",
        here=PATH,
        heading=f"The secret of {endpoint_id}",
        secret=secret,
        told="It verifies the messages of this endpoint, and is not shown again.",
        back=PATH,
    )


def _events(text: str | None) -> list[EventType] | None:
    """The types of a text with commas or blanks between; None is every type."""
    named = (text or "").replace(",", " ").split()
    unknown = [one for one in named if one not in set(EventType)]
    if unknown:
        raise InvalidRequestError(f"events: {unknown[0]!r} is none of {', '.join(EventType)}.")
    return [EventType(one) for one in named] or None
