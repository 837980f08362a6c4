"""Receive a Stripe event: store it and its effects in one transaction, exactly once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
import structlog

from app.book import Book
from app.errors import StripeFailedError
from app.subscriptions.facts import Fact
from app.webhooks import inbox, questions, steady
from app.webhooks.apply import apply
from app.webhooks.envelope import Envelope, envelope
from app.webhooks.group import WebhookGroups
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.shapes import ShapeError
from app.webhooks.translate import Ignored, Parked, Thin, translate

log = structlog.get_logger(__name__)

ASK_SECONDS_MAX: Final = 5.0  # while the sender of a webhook waits
TICK_ASK_SECONDS_MAX: Final = 30.0


class Attempted(msgspec.Struct, frozen=True):
    """What became of an event, and what is to be asked of Stripe once that stands."""

    ruling: Ruling
    question: Thin | None = None


class _EffectsFailedError(Exception):
    """Carries what went wrong out of the transaction that it rolls back."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Received(msgspec.Struct, frozen=True):
    """What the sender is told."""

    event_id: str
    outcome: Verdict
    type: str


async def receive_together(groups: WebhookGroups, book: Book, payload: bytes) -> Received:
    """The same as ``receive``, where many come at once to one process."""
    with groups.under_way():
        return await receive(book, payload, livemode=book.livemode, groups=groups)


async def receive(
    book: Book, payload: bytes, *, livemode: bool, groups: WebhookGroups | None = None
) -> Received:
    """Take a verified payload in; raises EnvelopeError where it is no event.

    If Stripe is to be asked, it is asked once all this is committed, and shortly: the next tick
    asks again for what it does not tell in time, or at once inside a caller's transaction.
    """
    started = time.perf_counter()
    event = envelope(payload)
    attempted = await _take_in(book, event, payload, livemode=livemode, groups=groups)
    ruling = attempted.ruling
    told = {
        "event_id": event.id,
        "type": event.type,
        "verdict": str(ruling.verdict),
        "duration_ms": round((time.perf_counter() - started) * 1_000, 2),
    }
    book.database.after_commit(lambda: log.info("webhook", **told))
    if attempted.question is not None and not book.database.in_transaction:
        answered = await answer(book, attempted.question, ASK_SECONDS_MAX)
        if attempted.question.event_id == event.id:
            ruling = answered
    return Received(event.id, ruling.verdict, event.type)


async def _take_in(
    book: Book, event: Envelope, payload: bytes, *, livemode: bool, groups: WebhookGroups | None
) -> Attempted:
    """The event and its effects in one transaction; where those fail, the event in another.

    A savepoint around the effects would come to the same, for two round trips of every event.
    Most of what Stripe sends has no effects at all, and is one statement.
    """
    translated = translate(event.event, await book.catalogues.account_keys(book.database))
    if groups is not None:
        delivery = steady.candidate(book, event, payload, translated)
        ruled = await groups.take(delivery) if delivery is not None else None
        if ruled is not None:
            return Attempted(ruled)
    if isinstance(translated, Ignored) and event.livemode == livemode:
        ruling = Ruling(Verdict.IGNORED, translated.reason)
        if await inbox.insert_ignored(book.database, event, payload, ruling):
            return Attempted(ruling)
    try:
        async with book.database.transaction():
            return await _store(book, event, payload, livemode=livemode)
    except _EffectsFailedError as failed:
        async with book.database.transaction():
            if await inbox.insert(book.database, event, payload) is None:
                return Attempted(inbox.RECEIVED_BEFORE)  # a delivery that waited for this one
            return Attempted(await inbox.fail(book.database, event.id, failed.error))


async def _store(book: Book, event: Envelope, payload: bytes, *, livemode: bool) -> Attempted:
    reading = await inbox.insert(book.database, event, payload)
    if reading is None:
        return Attempted(inbox.RECEIVED_BEFORE)
    if event.livemode == livemode:
        try:
            return await _apply(book, event, reading)
        except Exception as error:  # whatever it was, the event is kept and the sender gets a 200
            log.exception("webhook_effects_failed", event_id=event.id, type=event.type)
            raise _EffectsFailedError(error) from error
    return await _refuse(book, event)


async def _refuse(book: Book, event: Envelope) -> Attempted:
    mode = "live" if event.livemode else "test"
    ruling = Ruling(Verdict.REFUSED, f"a {mode} event does not touch this book")
    await inbox.rule(book.database, event.id, ruling)
    return Attempted(ruling)


async def attempt_stored(book: Book, event_id: str) -> Attempted:
    """Try a stored event again, by the newest of its bodies that can be read."""
    bodies = await inbox.bodies(book.database, event_id)
    read = [(reading, envelope(payload)) for reading, payload in bodies]
    readable = [one for one in read if not isinstance(translate(one[1].event), Parked)]
    reading, event = (readable or read)[0]
    return await attempt(book, event, reading)


async def attempt(book: Book, event: Envelope, reading: int = 1) -> Attempted:
    """Try a stored event again, inside a savepoint: its row stays locked whatever happens.

    One of the other mode is refused, also where it came in while the book was of that mode.
    """
    if event.livemode != book.livemode:
        return await _refuse(book, event)
    try:
        async with book.database.transaction():
            return await _apply(book, event, reading)
    except Exception as error:
        log.exception("webhook_effects_failed", event_id=event.id, type=event.type)
        return Attempted(_alerted(event.id, await inbox.fail(book.database, event.id, error)))


def _alerted(event_id: str, ruling: Ruling) -> Ruling:
    """A parked event waits for someone: the log and the metric of parked events raise it."""
    if ruling.verdict is Verdict.PARKED:
        log.error("event_parked", event_id=event_id, reason=ruling.reason)
    return ruling


async def _apply(book: Book, event: Envelope, reading: int) -> Attempted:
    translated = translate(event.event, await book.catalogues.account_keys(book.database))
    if isinstance(translated, Fact):
        translated = msgspec.structs.replace(translated, reading=reading)
    applied = await apply(book, translated)
    if applied.ruling.verdict is Verdict.QUEUED and isinstance(translated, Thin):
        await inbox.queue(book.database, event.id, applied.ruling)
        return Attempted(applied.ruling, translated)
    await inbox.rule(
        book.database,
        event.id,
        applied.ruling,
        subscription_id=applied.subscription_id,
        customer_id=applied.customer_id,
    )
    _alerted(event.id, applied.ruling)
    question = None
    if applied.tie is not None:
        last = applied.tie
        payload = questions.tie_question(
            last.subscription_id, last.occurred_at, livemode=event.livemode
        )
        question = await _raise_question(book, payload, "nothing tells which came last")
    elif applied.untold is not None:
        payload = questions.money_question(applied.untold, livemode=event.livemode)
        question = await _raise_question(book, payload, f"{event.id} leaves it untold")
    return Attempted(applied.ruling, question)


async def _raise_question(book: Book, payload: bytes, why: str) -> Thin | None:
    """Queue a question of our own to Stripe; None where it was asked before."""
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
            return _alerted(thin.event_id, await inbox.fail(book.database, thin.event_id, error))
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
            found = await inbox.due(book.database, questions_too=asking)
            if found is None:
                return count
            event = envelope(found[1])
            thin = translate(event.event)
            question = thin if isinstance(thin, Thin) and thin.url and book.stripe else None
            if question is None:
                question = (await attempt_stored(book, event.id)).question
            else:
                await inbox.claim_try(book.database, event.id)
        if question is not None:
            await answer(book, question, TICK_ASK_SECONDS_MAX)
        count += 1
