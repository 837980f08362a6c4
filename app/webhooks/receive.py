"""Receive a Stripe event: store it and its effects in one transaction, exactly once."""

from __future__ import annotations

import msgspec
import structlog

from app.accounts.book import Book
from app.webhooks import inbox
from app.webhooks.apply import apply
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.translate import Envelope, envelope, translate

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
            ruling = inbox.RECEIVED_BEFORE
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
    applied = await apply(book, translate(event.event))
    await inbox.rule(
        book.database, event.id, applied.ruling,
        subscription_id=applied.subscription_id, customer_id=applied.customer_id,
    )  # fmt: skip
    return applied.ruling


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
