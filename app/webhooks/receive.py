"""Receive a Stripe event: store it and its effects in one transaction, exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import msgspec
import structlog

from app.book import Book
from app.errors import BusyError, StripeFailedError
from app.infrastructure import logs
from app.webhooks import inbox, no_effect, questions
from app.webhooks.apply import Applied, apply
from app.webhooks.delivery import Delivery, read, ruled_at_sight
from app.webhooks.envelope import envelope
from app.webhooks.group import WebhookGroups
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.shapes import ShapeError
from app.webhooks.translate import Parked, Thin, translate

log = structlog.get_logger(__name__)

ASK_SECONDS_MAX: Final = 5.0  # while the sender of a webhook waits
TICK_ASK_SECONDS_MAX: Final = 30.0
BUSY_TRIES: Final = 5
BUSY_PAUSE_S: Final = (0.02, 0.1)


class Attempted(msgspec.Struct, frozen=True):
    """The ruling on an event, and the question to ask of Stripe once that is committed."""

    ruling: Ruling
    question: Thin | None = None


class _EffectsFailedError(Exception):
    """Carries what went wrong out of the transaction that it rolls back."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Received(msgspec.Struct, frozen=True):
    """The answer to the sender."""

    event_id: str
    outcome: Verdict
    type: str


async def receive(
    book: Book, payload: bytes, *, livemode: bool, groups: WebhookGroups | None = None
) -> Received:
    """Take a verified payload in; raises EnvelopeError if it is no event.

    If Stripe is to be asked, it is asked once all this is committed, and shortly: the next tick
    asks again for what it does not tell in time, or at once inside a caller's transaction.
    """
    started = time.perf_counter()
    delivery = await read(book, payload)
    event = delivery.envelope
    attempted = await _take_in(book, delivery, groups)
    ruling = attempted.ruling
    told = {
        "event_id": event.id,
        "type": event.type,
        "verdict": str(ruling.verdict),
        "duration_ms": round((time.perf_counter() - started) * 1_000, 2),
    }
    book.database.after_commit(lambda: logs.frequent("webhook", **told))
    if attempted.question is not None and not book.database.in_transaction:
        answered = await answer(book, attempted.question, ASK_SECONDS_MAX)
        if attempted.question.event_id == event.id:
            ruling = answered
    return Received(event.id, ruling.verdict, event.type)


async def _take_in(book: Book, delivery: Delivery, groups: WebhookGroups | None) -> Attempted:
    """By far the most deliveries have no effect: those that may have none are tried as such."""
    if no_effect.may_batch(book, delivery):
        if groups is not None:
            ruling = await groups.take(delivery)
        else:
            (ruling,) = await no_effect.take(book, [delivery])
        if ruling is not None:
            return Attempted(_alerted(book, delivery.envelope.id, ruling))
    return await take_in_with_effects(book, delivery)


async def take_in_with_effects(book: Book, delivery: Delivery) -> Attempted:
    """Store a delivery and its effects in one transaction; if those fail, the event in another.

    A savepoint around the effects would come to the same, for two round trips of every event.
    """
    event = delivery.envelope
    error: Exception = BusyError("")
    for tries_left in reversed(range(BUSY_TRIES)):
        try:
            async with book.database.transaction():
                return await _store(book, delivery)
        except _EffectsFailedError as failed:
            error = failed.error
        if not (tries_left and isinstance(error, BusyError)):
            break
        # Another event names the same account; waiting with a customer locked could be for good.
        await asyncio.sleep(random.uniform(*BUSY_PAUSE_S))  # noqa: S311 - it only spreads them
    log.error("webhook_effects_failed", event_id=event.id, type=event.type, exc_info=error)
    async with book.database.transaction():
        if await inbox.insert(book.database, event, delivery.payload) is None:
            return Attempted(inbox.RECEIVED_BEFORE)  # a delivery that waited for this one
        return Attempted(await inbox.fail(book.database, event.id, error))


async def _store(book: Book, delivery: Delivery) -> Attempted:
    event = delivery.envelope
    reading = await inbox.insert(book.database, event, delivery.payload)
    if reading is None:
        return Attempted(inbox.RECEIVED_BEFORE)
    try:
        return await _apply(book, msgspec.structs.replace(delivery, reading=reading))
    except Exception as error:  # whatever it was, the event is kept and the sender gets a 200
        raise _EffectsFailedError(error) from error


async def attempt_stored(book: Book, event_id: str) -> Attempted:
    """Try a stored event again, by the newest of its bodies that can be read."""
    return await _attempt(book, await _stored(book, event_id))


async def _stored(book: Book, event_id: str) -> Delivery:
    """A stored event, by the newest of its bodies that can be read, else by the newest."""
    deliveries = [
        msgspec.structs.replace(await read(book, payload), reading=reading)
        for reading, payload in await inbox.bodies(book.database, event_id)
    ]
    readable = [one for one in deliveries if not isinstance(one.says, Parked)]
    return (readable or deliveries)[0]


async def _attempt(book: Book, delivery: Delivery) -> Attempted:
    """Try a stored event again, inside a savepoint: its row stays locked whatever happens.

    One of the other mode is refused, also if it came in while the book was of that mode.
    """
    event = delivery.envelope
    try:
        async with book.database.transaction():
            return await _apply(book, delivery)
    except Exception as error:
        log.exception("webhook_effects_failed", event_id=event.id, type=event.type)
        ruling = await inbox.fail(book.database, event.id, error)
        return Attempted(_alerted(book, event.id, ruling))


def _alerted(book: Book, event_id: str, ruling: Ruling) -> Ruling:
    """A parked event waits for someone: the log and the metric of parked events raise it."""
    if ruling.verdict is Verdict.PARKED:
        reason = ruling.reason
        book.database.after_commit(
            lambda: log.error("event_parked", event_id=event_id, reason=reason)
        )
    return ruling


async def _apply(book: Book, delivery: Delivery) -> Attempted:
    """Carry out what a stored event says, and write its verdict."""
    event, says = delivery.envelope, delivery.says
    ruling = ruled_at_sight(book, delivery)
    if ruling is None and isinstance(says, Thin):
        ruling = Ruling(Verdict.QUEUED, f"{says.url} is to be read from Stripe")
        await inbox.queue(book.database, event.id, ruling)
        return Attempted(ruling, says)
    applied = Applied(ruling=ruling) if ruling else await apply(book, delivery)
    await inbox.rule(
        book.database,
        event.id,
        applied.ruling,
        subscription_id=applied.subscription_id,
        customer_id=applied.customer_id,
    )
    _alerted(book, event.id, applied.ruling)
    question = None
    if applied.question is not None:
        question = await _raise_question(book, applied.question, f"asked since {event.id} came")
    return Attempted(applied.ruling, question)


async def _raise_question(book: Book, payload: bytes, why: str) -> Thin | None:
    """Queue a question of our own to Stripe; None if it was asked before."""
    event = envelope(payload)
    thin = translate(event.event)
    if not isinstance(thin, Thin) or await inbox.insert(book.database, event, payload) != 1:
        return None
    await inbox.queue(book.database, event.id, Ruling(Verdict.QUEUED, why))
    return thin


async def answer(book: Book, thin: Thin, within_s: float) -> Ruling:
    """Ask Stripe, outside any transaction, and take its answer in; a failure leaves it queued."""
    assert book.stripe is not None, "without a key nothing is queued for it"
    try:
        async with asyncio.timeout(within_s):
            told = await questions.ask(book.stripe, thin)
    except (StripeFailedError, questions.EarlyAnswerError, ShapeError, TimeoutError) as error:
        log.warning("stripe_not_asked", event_id=thin.event_id, error=str(error))
        async with book.database.transaction():
            ruling = await inbox.fail(book.database, thin.event_id, error)
            return _alerted(book, thin.event_id, ruling)
    if isinstance(told, bytes):
        received = await receive(book, told, livemode=book.livemode)
        known = received.outcome is Verdict.DUPLICATE  # a crash came between its two commits
        verdict = Verdict.APPLIED if known else received.outcome
        ruling = Ruling(verdict, f"read from Stripe as {received.event_id}")
    else:
        ruling = Ruling(
            Verdict.PARKED if isinstance(told, Parked) else Verdict.IGNORED, told.reason
        )
    async with book.database.transaction():
        await inbox.rule(book.database, thin.event_id, ruling)
    return ruling


async def retry_due(book: Book) -> int:
    """Try queued events whose time has come, each in a transaction of its own; how many.

    Stripe, slow or away, holds up neither the others nor what the tick does after them: when
    asking has taken its time, the next tick asks for the rest.
    """
    count = 0
    asks_until = time.monotonic() + TICK_ASK_SECONDS_MAX
    while True:
        asking = book.stripe is None or time.monotonic() < asks_until
        async with book.database.transaction():
            event_id = await inbox.due(book.database, questions_too=asking)
            if event_id is None:
                return count
            delivery = await _stored(book, event_id)
            says = delivery.says
            if isinstance(says, Thin) and says.url is not None and book.stripe is not None:
                await inbox.claim_try(book.database, event_id)
                question: Thin | None = says
            else:
                question = (await _attempt(book, delivery)).question
        if question is not None:
            await answer(book, question, TICK_ASK_SECONDS_MAX)
        count += 1
