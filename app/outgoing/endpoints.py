"""Webhook endpoints: put, list, delete, roll the secret; each change is an operator's act."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.book import Book
from app.errors import WebhookEndpointsFullError, WebhookEndpointUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.operators.acts import Operator, OperatorAct, record
from app.outgoing import addresses, secrets
from app.outgoing.message import EventType
from app.outgoing.sending import Sender

if TYPE_CHECKING:
    from app.outgoing import row_types


ENDPOINT_ID: Final = r"[A-Za-z0-9._~-]{1,64}"
ENDPOINTS_MAX: Final = 50
OVERLAP_SECONDS: Final = 24 * 3_600  # the previous secret also signs for so long after a roll

_SQL: Final[row_types.EndpointsSql] = sql.beside(__file__)
_ENDS: Final = "endpoints"  # the name of this list in its cursors


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as stored. ``secret`` is set only in the answer that made it."""

    id: str
    url: str
    events: list[str] | None
    ordered: bool
    secret: str | None
    also_signs_until: datetime | None
    pending_count: int
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None


async def put(
    book: Book,
    sender: Sender,
    endpoint_id: str,
    url: str,
    events: list[EventType] | None,
    ordered: bool,
    by: Operator,
) -> Endpoint:
    """Make an endpoint, or change it and enable it.

    Raises WebhookUrlError, WebhookEndpointsFullError.
    """
    await addresses.check(url, sender.allowed)
    database = book.database
    chosen = None if events is None else sorted({str(event) for event in events})
    given = {"id": endpoint_id, "url": url, "events": chosen, "ordered": ordered}
    async with database.transaction():
        await database.execute(_SQL["lock"]())
        salt = None
        if await database.fetchval(_SQL["update"](**given)) is None:
            if len(await _find(database, None, "", ENDPOINTS_MAX)) == ENDPOINTS_MAX:
                raise WebhookEndpointsFullError(f"There are {ENDPOINTS_MAX} endpoints; delete one.")
            salt = secrets.new_salt()
            await database.execute(_SQL["insert"](**given, salt=salt))
        await record(database, OperatorAct.WEBHOOK_ENDPOINT_PUT, by, subject=endpoint_id)
        secret = None if salt is None else secrets.secret_of(sender.pepper, salt)
        return await _one(database, endpoint_id, secret)


async def get(database: Database, endpoint_id: str) -> Endpoint:
    """Return one endpoint; raise WebhookEndpointUnknownError."""
    return await _one(database, endpoint_id, None)


async def listed(
    database: Database, cursor: str | None, limit: int
) -> Page[row_types.EndpointsFind]:
    """Return one page by id; raise InvalidCursorError."""
    after = "" if cursor is None else cursors.decode(cursor, _ENDS)
    return cursors.page(await _find(database, None, after, limit + 1), limit, _ENDS)


async def secret_of(book: Book, sender: Sender, endpoint_id: str) -> str:
    """Return the secret that signs now; raise WebhookEndpointUnknownError.

    This is for the session that made or rolled it, if its answer was lost on the way.
    """
    rows = await _find(book.database, endpoint_id, "", 1)
    if not rows:
        raise _unknown(endpoint_id)
    return secrets.secret_of(sender.pepper, rows[0]["salt"])


async def delete(book: Book, endpoint_id: str, by: Operator) -> None:
    """Delete an endpoint; raise WebhookEndpointUnknownError."""
    database = book.database
    async with database.transaction():
        if await database.fetchval(_SQL["delete"](id=endpoint_id)) is None:
            raise _unknown(endpoint_id)
        await record(database, OperatorAct.WEBHOOK_ENDPOINT_DELETED, by, subject=endpoint_id)


async def roll_secret(book: Book, sender: Sender, endpoint_id: str, by: Operator) -> Endpoint:
    """Give the endpoint a new secret; raise WebhookEndpointUnknownError."""
    database, salt = book.database, secrets.new_salt()
    async with database.transaction():
        rolled = await database.fetchval(
            _SQL["roll"](id=endpoint_id, salt=salt, overlap_s=float(OVERLAP_SECONDS))
        )
        if rolled is None:
            raise _unknown(endpoint_id)
        await record(database, OperatorAct.WEBHOOK_SECRET_ROLLED, by, subject=endpoint_id)
        return await _one(database, endpoint_id, secrets.secret_of(sender.pepper, salt))


async def _one(database: Database, endpoint_id: str, secret: str | None) -> Endpoint:
    rows = await _find(database, endpoint_id, "", 1)
    if not rows:
        raise _unknown(endpoint_id)
    return endpoint_of(rows[0], secret)


def endpoint_of(row: row_types.EndpointsFind, secret: str | None = None) -> Endpoint:
    """Return the endpoint of a row of the list."""
    told: dict[str, Any] = dict(row)
    known = {name: told[name] for name in Endpoint.__struct_fields__ if name != "secret"}
    return Endpoint(**known, secret=secret)


async def _find(
    database: Database, endpoint_id: str | None, after: str, limit: int
) -> list[row_types.EndpointsFind]:
    return await database.fetch(_SQL["find"](id=endpoint_id, after=after, limit=limit))


def _unknown(endpoint_id: str) -> WebhookEndpointUnknownError:
    return WebhookEndpointUnknownError(f"There is no webhook endpoint {endpoint_id}.")
