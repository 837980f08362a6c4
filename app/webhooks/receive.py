"""Receive a Stripe event: store it and its effects in one transaction, exactly once."""

from __future__ import annotations

import msgspec
import structlog

from app.accounts.book import Book
from app.accounts.subscribe import take_fact
from app.subscriptions.facts import Fact
from app.subscriptions.store import Outcome, Settled
from app.webhooks import inbox
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.translate import Envelope, Ignored, Parked, envelope, translate

log = structlog.get_logger(__name__)


class Received(msgspec.Struct, frozen=True):
    """What the sender is told."""

    event_id: str
    outcome: Verdict


async def receive(book: Book, payload: bytes, *, livemode: bool) -> Received:
    """Take a verified payload in; raises EnvelopeError where it is no event."""
    event = envelope(payload)
    async with book.database.transaction():
        if not await inbox.insert(book.database, event, payload):
            ruling = Ruling(Verdict.DUPLICATE, "received before")
        elif event.livemode != livemode:
            mode = "live" if event.livemode else "test"
            ruling = Ruling(Verdict.REFUSED, f"a {mode} event does not touch this book")
            await inbox.rule(book.database, event.id, ruling)
        else:
            ruling = await attempt(book, event)
    log.info(
        "webhook", event_id=event.id, type=event.type, verdict=str(ruling.verdict),
        reason=ruling.reason,
    )  # fmt: skip
    return Received(event.id, ruling.verdict)


async def attempt(book: Book, event: Envelope) -> Ruling:
    """Apply the event's effects inside a savepoint; a failure keeps the inbox row for later."""
    try:
        async with book.database.transaction():
            return await _apply(book, event)
    except Exception as error:  # whatever it was, the event is not lost and the sender gets a 200
        log.exception("webhook_effects_failed", event_id=event.id, type=event.type)
        return await inbox.fail(book.database, event.id, error)


async def _apply(book: Book, event: Envelope) -> Ruling:
    translated = translate(event.event)
    if isinstance(translated, Fact):
        ruling = await _take(book, translated)
        await inbox.rule(
            book.database, event.id, ruling,
            subscription_id=translated.subscription_id, customer_id=translated.customer_id,
        )  # fmt: skip
        return ruling
    ruling = _unread(translated)
    await inbox.rule(book.database, event.id, ruling)
    return ruling


def _unread(translated: Ignored | Parked) -> Ruling:
    verdict = Verdict.PARKED if isinstance(translated, Parked) else Verdict.IGNORED
    return Ruling(verdict, translated.reason)


async def _take(book: Book, fact: Fact) -> Ruling:
    other = await book.database.fetchval(
        "SELECT customer_id FROM subscriptions WHERE id = $1 AND customer_id <> $2",
        fact.subscription_id, fact.customer_id,
    )  # fmt: skip
    if other is not None:
        return Ruling(Verdict.PARKED, f"the subscription belongs to customer {other}")
    return _ruling(fact, await take_fact(book, fact))


def _ruling(fact: Fact, settled: Settled) -> Ruling:
    derived = settled.derived
    if settled.outcome is Outcome.STALE:
        return Ruling(Verdict.STALE, f"older than {derived.last.event_id}, and changes nothing")
    if derived.prices_unknown and derived.snapshot and derived.snapshot.event_id == fact.event_id:
        prices = ", ".join(fact.prices) or "none"
        return Ruling(Verdict.PARKED, f"no price is in the catalogue: {prices}")
    if derived.tied:
        return Ruling(Verdict.APPLIED, "tie")
    return Ruling(Verdict.APPLIED, f"{fact.kind} leaves it {derived.state}")


async def retry_due(book: Book) -> int:
    """Try queued events whose time has come, each in a transaction of its own; how many."""
    count = 0
    while True:
        async with book.database.transaction():
            found = await inbox.due(book.database)
            if found is None:
                return count
            await attempt(book, envelope(found[1]))
        count += 1
