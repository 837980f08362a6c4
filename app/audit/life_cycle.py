"""What auditors read of the life cycle: subscriptions, transitions, events, runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from app.audit import cursor as cursors
from app.audit.entries import OfAccount
from app.errors import (
    EventUnknownError,
    InvalidCursorError,
    RunUnknownError,
    SubscriptionUnknownError,
)
from app.infrastructure.db import Database, Record
from app.runs import run_row

DELIVERIES_MAX: Final = 1_000  # of one event in one answer

Order = Literal["asc", "desc"]

_SUBSCRIPTION: Final = """
SELECT subscriptions.*,
       coalesce(accounts.external_id,
                (SELECT customers.id FROM customers WHERE customers.account_id = accounts.id
                  ORDER BY rank, tied_at DESC, customers.id LIMIT 1)) AS public_account_id
  FROM subscriptions JOIN accounts ON accounts.id = subscriptions.account_id
"""
# The payload is half a kilobyte to half a megabyte: a list leaves it out.
_EVENT: Final = """
SELECT id, type, api_version, livemode, created_at, received_at, verdict, verdict_reason,
       subscription_id, customer_id, attempt_count, next_attempt_at, error, delivery_count{more}
  FROM events
"""


class Page(msgspec.Struct, frozen=True):
    """Some rows, and the cursor to the next."""

    rows: Sequence[Record]
    next_cursor: str | None


class SubscriptionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list; None filters nothing."""

    of_account: OfAccount | None = None
    state: str | None = None

    @property
    def asked(self) -> SubscriptionQuery:
        """What a cursor is bound to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list, and its order by receipt."""

    verdict: str | None = None
    type: str | None = None
    subscription_id: str | None = None
    order: Order = "asc"


async def subscriptions(
    database: Database, query: SubscriptionQuery, cursor: str | None, limit: int
) -> Page:
    """One page by id; raises InvalidCursorError."""
    rows = await database.fetch(
        f"""{_SUBSCRIPTION}
            WHERE ($1::bigint[] IS NULL OR subscriptions.account_id = ANY($1))
              AND ($2::text IS NULL OR subscriptions.state = $2)
              AND ($3::text IS NULL OR subscriptions.id > $3)
            ORDER BY subscriptions.id LIMIT $4""",
        None if query.of_account is None else list(query.of_account.numbers),
        query.state,
        None if cursor is None else cursors.decode(cursor, query.asked),
        limit + 1,
    )
    return _page(rows, limit, query.asked, "{id}")


async def subscription(database: Database, subscription_id: str) -> Record:
    """One; SubscriptionUnknownError without it."""
    row = await database.fetchrow(f"{_SUBSCRIPTION} WHERE subscriptions.id = $1", subscription_id)
    if row is None:
        raise SubscriptionUnknownError(
            f"No event told of a subscription {subscription_id!r}.", subscription_id=subscription_id
        )
    return row


async def transitions(
    database: Database, subscription_id: str, cursor: str | None, limit: int
) -> Page:
    """One page of a subscription's transitions, oldest first; SubscriptionUnknownError."""
    await subscription(database, subscription_id)
    query = ("transitions", subscription_id)
    rows = await database.fetch(
        """SELECT * FROM transitions WHERE subscription_id = $1 AND id > $2
            ORDER BY id LIMIT $3""",
        subscription_id,
        _after_number(cursor, query),
        limit + 1,
    )
    return _page(rows, limit, query, "{id}")


async def events(database: Database, query: EventQuery, cursor: str | None, limit: int) -> Page:
    """One page by (received_at, id); raises InvalidCursorError."""
    received_at, event_id = _after_event(cursor, query)
    rows = await database.fetch(
        f"""{_EVENT.format(more="")}
            WHERE ($1::text IS NULL OR verdict = $1) AND ($2::text IS NULL OR type = $2)
              AND ($3::text IS NULL OR subscription_id = $3)
              AND ($4::timestamptz IS NULL
                   OR (received_at, id) {">" if query.order == "asc" else "<"} ($4, $5::text))
            ORDER BY received_at {query.order}, id {query.order} LIMIT $6""",
        query.verdict,
        query.type,
        query.subscription_id,
        received_at,
        event_id,
        limit + 1,
    )
    return _page(rows, limit, query, "{received_at:%Y%m%dT%H%M%S%f} {id}")


async def event(database: Database, event_id: str) -> Record:
    """One, with its payload; EventUnknownError without it."""
    row = await database.fetchrow(f"{_EVENT.format(more=', payload')} WHERE id = $1", event_id)
    if row is None:
        raise EventUnknownError(f"No event {event_id!r} was received.", event_id=event_id)
    return row


async def deliveries(database: Database, event_id: str) -> list[Record]:
    """What was ruled at each delivery and try of an event, oldest first; the newest 1,000."""
    rows = await database.fetch(
        "SELECT * FROM deliveries WHERE event_id = $1 ORDER BY id DESC LIMIT $2",
        event_id,
        DELIVERIES_MAX,
    )
    return rows[::-1]


async def runs(database: Database, cursor: str | None, limit: int, order: Order) -> Page:
    """One page by id; raises InvalidCursorError."""
    query = ("runs", order)
    rows = await database.fetch(
        f"""{run_row.ROWS} WHERE $1::bigint IS NULL OR id {">" if order == "asc" else "<"} $1
             ORDER BY id {order} LIMIT $2""",
        None if cursor is None else cursors.decode_number(cursor, query),
        limit + 1,
    )
    return _page(rows, limit, query, "{id}")


async def run(database: Database, number: int | None, public_id: str) -> Record:
    """One; RunUnknownError without it."""
    rows = await run_row.runs_of(database, [number or 0])
    if not rows:
        raise RunUnknownError(f"There is no run {public_id!r}.", run_id=public_id)
    return rows[0]


def _page(rows: Sequence[Record], limit: int, query: object, key: str) -> Page:
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], cursors.encode(key.format(**rows[limit - 1]), query))


def _after_number(cursor: str | None, query: object) -> int:
    return 0 if cursor is None else cursors.decode_number(cursor, query)


def _after_event(cursor: str | None, query: EventQuery) -> tuple[datetime | None, str | None]:
    if cursor is None:
        return None, None
    received, _, event_id = cursors.decode(cursor, query).partition(" ")
    try:
        received_at = datetime.strptime(received, "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidCursorError("The cursor is not one of ours.") from None
    return received_at, event_id
