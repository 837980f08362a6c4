"""Replay a stored event: its own bytes are read once more, and nothing is applied twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from app.book import Book
from app.errors import EventUnknownError
from app.infrastructure import sql
from app.operators.acts import Operator, OperatorAct, record
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.receive import ASK_SECONDS_MAX, answer, attempt_stored

if TYPE_CHECKING:
    from app.webhooks import row_types


log = structlog.get_logger(__name__)

_SQL: Final[row_types.ReplaySql] = sql.beside(__file__)

# Nothing is left to do: the facts of an applied or stale event stand already.
_SETTLED: Final = frozenset({Verdict.APPLIED, Verdict.STALE})


class Replayed(msgspec.Struct, frozen=True):
    """The outcome of a replay, and the event's own verdict after it."""

    event_id: str
    outcome: Verdict
    verdict: Verdict
    reason: str


async def replay(book: Book, event_id: str, by: Operator) -> Replayed:
    """Try a stored event again in one transaction; EventUnknownError if none is stored.

    A settled one changes nothing; others get a new verdict. A refused one stays refused while the
    book is of the other mode: one that was started as such by mistake has lost no event.
    """
    question = None
    async with book.database.transaction():
        row = await book.database.fetchrow(_SQL["lock"](event_id=event_id))
        if row is None:
            raise EventUnknownError(f"No event {event_id!r} was received.", event_id=event_id)
        before = Verdict(row["verdict"])
        if before in _SETTLED:
            ruling = Ruling(Verdict.DUPLICATE, f"{before} before: {row['verdict_reason']}")
        else:
            attempted = await attempt_stored(book, event_id)
            ruling, question = attempted.ruling, attempted.question
            await record(book.database, OperatorAct.REPLAY, by, event_id=event_id)
    if question is not None:  # asked outside the transaction, as for a webhook
        answered = await answer(book, question, ASK_SECONDS_MAX)
        ruling = answered if question.event_id == event_id else ruling
    after = before if before in _SETTLED else ruling.verdict
    log.info("replay", event_id=event_id, verdict=str(ruling.verdict), reason=ruling.reason)
    return Replayed(event_id, ruling.verdict, after, ruling.reason)


async def parked(book: Book) -> AsyncIterator[str]:
    """The ids of all parked events, oldest first, as they stand when each is asked for."""
    after: tuple[datetime | None, str | None] = (None, None)
    until = await book.database.fetchval(_SQL["newest"]())
    while row := await book.database.fetchrow(
        _SQL["next_parked"](after=after[0], after_id=after[1], until=until)
    ):
        after = row["received_at"], row["id"]
        yield row["id"]
