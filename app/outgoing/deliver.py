"""Delivery of messages: claimed for a while, sent outside any transaction, and recorded.

PostgreSQL says what is due. If a worker dies, its claim ends by itself: so each message arrives at
least once. Each endpoint has a delivery of its own; a slow one delays no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import orjson
import structlog

from app.book import Book
from app.errors import WebhookUrlError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import EndpointNumber
from app.outgoing import schedule
from app.outgoing.addresses import RESOLVE_SECONDS_MAX
from app.outgoing.message import Message
from app.outgoing.sending import ATTEMPT_SECONDS_MAX, CONNECTIONS_MAX, Answer, Line, Sender, opened

if TYPE_CHECKING:
    from app.outgoing import row_types


log = structlog.get_logger(__name__)

CLAIM_MAX: Final = 100
SEND_SECONDS_MAX: Final = 15.0  # no attempt begins later than this after the name is resolved
# longer than the last attempt of a claim can take: nobody else tries it meanwhile
LEASE_SECONDS: Final = RESOLVE_SECONDS_MAX + SEND_SECONDS_MAX + ATTEMPT_SECONDS_MAX + 5
DATABASE_USES_MAX: Final = 2  # at once: the tick and the fold need connections as well
GONE: Final = 410  # a receiver may ask for no longer delay

_SQL: Final[row_types.DeliverSql] = sql.beside(__file__)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one endpoint that this process alone tries for now."""

    number: EndpointNumber
    url: str
    ordered: bool
    salts: list[bytes]
    failure_count: int
    at: datetime
    messages: list[Message]


class Attempt(NamedTuple):
    """A message and its receiver's answer; None if it was not tried."""

    message: Message
    answer: Answer | None


class Deliverer:
    """Starts the delivery to each endpoint that has something due, until nothing is."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._under_way: dict[EndpointNumber, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(DATABASE_USES_MAX)

    async def begin(self, book: Book) -> None:
        """Look once for what is due; a delivery that runs already continues."""
        for row in await book.database.fetch(_SQL["due_endpoints"]()):
            number = EndpointNumber(row["number"])
            if number not in self._under_way:
                task = asyncio.create_task(self._deliver(book.database, number))
                self._under_way[number] = task

    async def done(self) -> None:
        """Wait until nothing is being delivered."""
        await asyncio.gather(*self._under_way.values())

    async def close(self) -> None:
        """Cancel the running deliveries, and release their claims."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, database: Database, number: EndpointNumber) -> None:
        try:
            while await deliver_some(database, self._sender, number, self._room):
                continue
        except Exception:
            log.exception("webhook_delivery_failed", endpoint=number, remedy="it is tried again")
        finally:
            del self._under_way[number]


async def deliver_due(book: Book, sender: Sender) -> None:
    """Deliver everything that is due, and return when that is done."""
    deliverer = Deliverer(sender)
    await deliverer.begin(book)
    await deliverer.done()


async def deliver_some(
    database: Database, sender: Sender, number: EndpointNumber, room: asyncio.Semaphore
) -> bool:
    """Claim some of the endpoint's messages, try and record them; return whether there were any."""
    async with room:
        claim = await _claim(database, number)
    if claim is None:
        return False
    try:
        attempts = await _try_all(claim, sender)
    except asyncio.CancelledError:
        # The worker is asked to end: its successor need not wait for this claim's end.
        release = _SQL["release"](ids=[message.id for message in claim.messages])
        await asyncio.shield(database.execute(release))
        raise
    async with room, database.transaction():
        await _record(database, claim, attempts)
    return True


async def _claim(database: Database, number: EndpointNumber) -> Claim | None:
    async with database.transaction():
        endpoint = await database.fetchrow(_SQL["lock_endpoint"](number=number))
        if endpoint is None:
            return None
        rows = await database.fetch(
            _SQL["claim"](
                number=number,
                ordered=endpoint["ordered"],
                # A failing endpoint is tried with one message until it answers.
                limit=1 if endpoint["failure_count"] else CLAIM_MAX,
                lease_s=LEASE_SECONDS,
            )
        )
    if not rows:
        return None
    return Claim(
        number=number,
        url=endpoint["url"],
        ordered=endpoint["ordered"],
        salts=endpoint["salts"],
        failure_count=endpoint["failure_count"],
        at=endpoint["now"],
        messages=[_message(row) for row in rows],
    )


def _message(row: row_types.DeliverClaim) -> Message:
    return Message(
        id=row["id"],
        type=row["type"],
        account_number=row["account_id"],
        account_id=row["public_account_id"],
        data=orjson.loads(row["data"]),
        effective_at=row["effective_at"],
        attempt_count=row["attempt_count"],
        first_attempt_at=row["first_attempt_at"],
    )


async def _try_all(claim: Claim, sender: Sender) -> list[Attempt]:
    try:
        async with opened(sender, claim.url, claim.salts) as line:
            slots = asyncio.Semaphore(CONNECTIONS_MAX)
            rows = (_try_row(line, claim, row, slots) for row in _rows(claim))
            return [attempt for tried in await asyncio.gather(*rows) for attempt in tried]
    except (WebhookUrlError, OSError, TimeoutError) as error:
        told = error.detail if isinstance(error, WebhookUrlError) else f"Not resolved: {error}"
        return [Attempt(message, Answer(error=told)) for message in claim.messages]


def _rows(claim: Claim) -> list[list[Message]]:
    """Return the claim's messages in rows: one row is sent in order, rows go side by side."""
    if not claim.ordered:
        return [[message] for message in claim.messages]

    def account(message: Message) -> int:
        # A message without an account has a row of its own.
        return message.account_number or -message.id

    return [list(row) for _, row in groupby(sorted(claim.messages, key=account), key=account)]


async def _try_row(
    line: Line, claim: Claim, row: Sequence[Message], slots: asyncio.Semaphore
) -> list[Attempt]:
    """Try a row until one message fails: those after it wait and are not tried."""
    loop = asyncio.get_running_loop()
    attempts: list[Attempt] = []
    going = True
    ends_at = loop.time() + SEND_SECONDS_MAX
    for message in row:
        answer = None
        if going:
            async with slots:
                if loop.time() < ends_at:
                    passed = timedelta(seconds=loop.time() - ends_at + SEND_SECONDS_MAX)
                    answer = await line.send(message, claim.at + passed)
        going = answer is not None and answer.delivered
        attempts.append(Attempt(message, answer))
    return attempts


async def _record(database: Database, claim: Claim, attempts: list[Attempt]) -> None:
    """Record the result of each message and the endpoint's health; in the caller's transaction."""
    await database.fetchrow(_SQL["lock_endpoint"](number=claim.number))
    tried = [(one.message, one.answer) for one in attempts if one.answer is not None]
    untried = [one.message.id for one in attempts if one.answer is None]
    if untried:
        await database.execute(_SQL["release"](ids=untried))
    outcomes = [_outcome(message, answer, claim.at) for message, answer in tried]
    await database.execute(
        _SQL["record"](
            ids=[message.id for message, _ in tried],
            delivered=[answer.delivered for _, answer in tried],
            delays_s=outcomes,
            statuses=[answer.status for _, answer in tried],
            errors=[answer.error for _, answer in tried],
        )
    )
    dead = [
        message.public_id
        for (message, answer), delay in zip(tried, outcomes, strict=True)
        if delay is None and not answer.delivered
    ]
    if dead:
        database.after_commit(
            lambda: log.warning("webhook_messages_dead", endpoint=claim.number, messages=dead)
        )
    if any(answer.delivered for _, answer in tried):
        await database.execute(
            _SQL["answers"](
                number=claim.number,
                was_held=claim.failure_count >= schedule.HOLD_AFTER_FAILURES,
                before=claim.at,
            )
        )
    elif tried:
        await _count_failure(database, claim.number, [answer for _, answer in tried])


def _outcome(message: Message, answer: Answer, at: datetime) -> int | None:
    """Return the outcome, and the seconds until the next attempt; None if there is none."""
    if answer.delivered:
        return None
    tried_s = (at - message.first_attempt_at).total_seconds()
    return schedule.next_delay_s(message.attempt_count, tried_s, answer.retry_after_s)


async def _count_failure(
    database: Database, number: EndpointNumber, answers: Sequence[Answer]
) -> None:
    counted = await database.fetchrow(_SQL["fails"](number=number))
    assert counted is not None
    hold_s = schedule.hold_s(counted["failure_count"])
    if hold_s:
        await database.execute(_SQL["hold"](number=number, hold_s=float(hold_s)))
    reason = None
    if any(answer.status == GONE for answer in answers):
        reason = "The receiver answered 410: it wants no more."
    elif schedule.is_gone(counted["failing_s"], counted["failure_count"]):
        days = schedule.DISABLE_AFTER_S // 86_400
        reason = f"Nothing has arrived for {days} days: {answers[0].error or answers[0].status}."
    if reason is None:
        return
    disabled = await database.fetchval(_SQL["disable"](number=number, reason=reason))
    if disabled is not None:
        database.after_commit(
            lambda: log.error("webhook_endpoint_disabled", endpoint=disabled, reason=reason)
        )
