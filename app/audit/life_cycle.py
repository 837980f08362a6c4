"""Life cycles as auditors read them: subscriptions, transitions, events, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from app.audit import cursor as cursors
from app.audit.cursor import PAST_EVERY_NUMBER, Page
from app.audit.entries import OfAccount
from app.audit.horizon import Horizons
from app.errors import EventUnknownError, RunUnknownError, SubscriptionUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import NO_ROW, RunNumber
from app.runs import run_row

if TYPE_CHECKING:
    from app.audit import row_types
    from app.tables.row_types import DeliveriesRow, TransitionsRow


DELIVERIES_MAX: Final = 1_000  # the most deliveries of one event in one answer

Order = Literal["asc", "desc"]

_SQL: Final[row_types.LifeCycleSql] = sql.beside(__file__)


class SubscriptionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list; None filters nothing."""

    of_account: OfAccount | None = None
    state: str | None = None

    @property
    def asked(self) -> SubscriptionQuery:
        """Return the query that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list, and its order by receipt."""

    verdict: str | None = None
    type: str | None = None
    subscription_id: str | None = None
    customer_id: str | None = None
    of_account: OfAccount | None = None
    order: Order = "asc"

    @property
    def asked(self) -> EventQuery:
        """Return the query that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


async def subscriptions(
    database: Database, query: SubscriptionQuery, cursor: str | None, limit: int
) -> Page[row_types.LifeCycleSubscriptions]:
    """Return one page by id; raise InvalidCursorError."""
    rows = await database.fetch(
        _SQL["subscriptions"](
            account_ids=query.of_account and list(query.of_account.numbers),
            state=query.state,
            after="" if cursor is None else cursors.decode(cursor, query.asked),
            limit=limit + 1,
        )
    )
    return cursors.page(rows, limit, query.asked)


async def subscription(
    database: Database, subscription_id: str
) -> row_types.LifeCycleSubscriptions:
    """Return one subscription; raise SubscriptionUnknownError."""
    row = await database.fetchrow(_SQL["subscription"](id=subscription_id))
    if row is None:
        raise SubscriptionUnknownError(
            f"No event told of a subscription {subscription_id!r}.", subscription_id=subscription_id
        )
    return row


async def transitions(
    database: Database, horizons: Horizons, subscription_id: str, cursor: str | None, limit: int
) -> Page[TransitionsRow]:
    """Return one page of a subscription's steps, oldest first.

    Raises SubscriptionUnknownError and InvalidCursorError.
    """
    await subscription(database, subscription_id)
    query = ("transitions", subscription_id)
    rows = await database.fetch(
        _SQL["transitions"](
            subscription_id=subscription_id,
            after=cursors.decode_number(cursor, query),
            horizon=await horizons.of(database, "transitions"),
            limit=limit + 1,
        )
    )
    return cursors.page(rows, limit, query)


async def events(
    database: Database, horizons: Horizons, query: EventQuery, cursor: str | None, limit: int
) -> Page[row_types.LifeCycleEventsUp]:
    """Return one page in order of receipt; raise InvalidCursorError."""
    up = query.order == "asc"
    after = cursors.decode_number(cursor, query.asked, 0 if up else PAST_EVERY_NUMBER)
    rows = await database.fetch(
        _SQL["events_up" if up else "events_down"](
            verdict=query.verdict,
            type=query.type,
            subscription_id=query.subscription_id,
            customer_ids=await _customers(database, query),
            after=after,
            horizon=await horizons.of(database, "events"),
            limit=limit + 1,
        )
    )
    return cursors.page(rows, limit, query.asked, "number")


async def _customers(database: Database, query: EventQuery) -> list[str] | None:
    """Return the customers of the events asked for; None for all customers."""
    if query.of_account is None:
        return None if query.customer_id is None else [query.customer_id]
    account_ids = list(query.of_account.numbers)
    rows = await database.fetch(_SQL["customers_of"](account_ids=account_ids))
    return [row["id"] for row in rows if query.customer_id in (None, row["id"])]


async def event(database: Database, event_id: str) -> row_types.LifeCycleEvent:
    """Return one event with its payload; raise EventUnknownError."""
    row = await database.fetchrow(_SQL["event"](id=event_id))
    if row is None:
        raise EventUnknownError(f"No event {event_id!r} was received.", event_id=event_id)
    return row


async def deliveries(database: Database, event_id: str) -> list[DeliveriesRow]:
    """Return the verdicts of an event's deliveries and retries, oldest first; the newest 1,000."""
    rows = await database.fetch(_SQL["deliveries"](event_id=event_id, limit=DELIVERIES_MAX))
    return rows[::-1]


async def runs(
    database: Database, horizons: Horizons, cursor: str | None, limit: int, order: Order
) -> Page[Record]:
    """Return one page by id; raise InvalidCursorError."""
    query = ("runs", order)
    up = order == "asc"
    rows = await run_row.listed(
        database,
        after=cursors.decode_number(cursor, query, 0 if up else PAST_EVERY_NUMBER),
        horizon=await horizons.of(database, "runs"),
        limit=limit + 1,
        newest_first=not up,
    )
    return cursors.page(rows, limit, query)


async def run(database: Database, number: RunNumber | None, public_id: str) -> Record:
    """One run; raises RunUnknownError."""
    rows = await run_row.runs_of(database, [number or RunNumber(NO_ROW)])
    if not rows:
        raise RunUnknownError(f"There is no run {public_id!r}.", run_id=public_id)
    return rows[0]
