"""The messages for operators: list them, and send them again by id or by time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.audit.entries import OfAccount
from app.audit.horizon import Horizons
from app.book import Book
from app.errors import WebhookEndpointDeletedError, WebhookMessageUnknownError
from app.infrastructure import ids, sql
from app.infrastructure.db import Database
from app.infrastructure.ids import MessageNumber
from app.operators.acts import Operator, OperatorAct, record
from app.outgoing import endpoints

if TYPE_CHECKING:
    from app.outgoing import row_types


_SQL: Final[row_types.MessagesSql] = sql.beside(__file__)
_ID_MAX: Final = 2**63 - 1
FORGET_MAX: Final = 10_000  # a tenth of a second


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list; None filters nothing."""

    endpoint_id: str | None = None
    type: str | None = None
    state: str | None = None
    of_account: OfAccount | None = None

    @property
    def asked(self) -> MessageQuery:
        """Return the filters that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


async def messages(
    database: Database, horizons: Horizons, query: MessageQuery, cursor: str | None, limit: int
) -> Page[row_types.MessagesNewest]:
    """Return one page by id, oldest first; raise InvalidCursorError."""
    after = cursors.decode_number(cursor, query.asked)
    horizon = await horizons.of(database, "webhook_messages")
    rows = await _page(database, query, None, after, horizon, limit + 1)
    return cursors.page(rows, limit, query.asked)


async def newest(
    database: Database, query: MessageQuery, limit: int
) -> list[row_types.MessagesNewest]:
    """Return the newest messages, in the order of their ids."""
    rows = await newest_before(database, query, _ID_MAX, limit)
    return rows[::-1]


async def newest_before(
    database: Database, query: MessageQuery, before: int, limit: int
) -> list[row_types.MessagesNewest]:
    """Return the newest messages before one, newest first."""
    filters = {
        "endpoint_id": query.endpoint_id,
        "type": query.type,
        "state": query.state,
        "account_ids": query.of_account and list(query.of_account.numbers),
    }
    return await database.fetch(_SQL["newest"](before=before, limit=limit, **filters))


async def redeliver(book: Book, number: MessageNumber, by: Operator) -> row_types.MessagesNewest:
    """Send a message again, whatever its last result; return its row.

    Raises WebhookMessageUnknownError, WebhookEndpointDeletedError.
    """
    database = book.database
    async with database.transaction():
        sent = await _redeliver(database, number=number)
        found = await _page(database, MessageQuery(), number, 0, _ID_MAX, 1)
        told = ids.public(ids.MESSAGE, number)
        if not found:
            raise WebhookMessageUnknownError(f"There is no webhook message {told}.")
        if not sent:
            raise WebhookEndpointDeletedError("The endpoint of this message was deleted.")
        await record(database, OperatorAct.WEBHOOK_REDELIVERED, by, subject=told)
    return found[0]


async def redeliver_span(
    book: Book, endpoint_id: str, start: datetime, until: datetime, by: Operator
) -> int:
    """Send again an endpoint's messages from one instant until before another; return how many.

    Raises WebhookEndpointUnknownError.
    """
    database = book.database
    async with database.transaction():
        await endpoints.get(database, endpoint_id)
        sent = await _redeliver(database, endpoint_id=endpoint_id, start=start, until=until)
        await record(database, OperatorAct.WEBHOOK_REDELIVERED, by, subject=endpoint_id)
    return len(sent)


async def forget(book: Book) -> int:
    """Remove messages that are done and 30 days old, as many as a tick has time for."""
    removed: int = await book.database.fetchval("SELECT forget_messages($1)", FORGET_MAX)
    return removed


async def _redeliver(
    database: Database,
    *,
    number: MessageNumber | None = None,
    endpoint_id: str | None = None,
    start: datetime | None = None,
    until: datetime | None = None,
) -> list[row_types.MessagesRedeliver]:
    return await database.fetch(
        _SQL["redeliver"](id=number, endpoint_id=endpoint_id, start=start, until=until)
    )


async def _page(
    database: Database,
    query: MessageQuery,
    number: MessageNumber | None,
    after: int,
    horizon: int,
    limit: int,
) -> list[row_types.MessagesNewest]:
    return await database.fetch(
        _SQL["page"](
            id=number,
            endpoint_id=query.endpoint_id,
            type=query.type,
            state=query.state,
            account_ids=query.of_account and list(query.of_account.numbers),
            after=after,
            horizon=horizon,
            limit=limit,
        )
    )
