"""A delivery: an event's bytes, and what they say, read once."""

from __future__ import annotations

import msgspec

from app.book import Book
from app.webhooks.envelope import Envelope, envelope
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.questions import is_answer
from app.webhooks.translate import Ignored, Parked, Thin, Translated, object_url, translate


class Delivery(msgspec.Struct, frozen=True):
    """A signed event as it came, and what it says.

    A ``reading`` above 1 is of other bytes of an event that was parked.
    """

    envelope: Envelope
    payload: bytes
    says: Translated
    reading: int = 1


async def read(book: Book, payload: bytes) -> Delivery:
    """Read a verified payload; raises EnvelopeError if it is no event."""
    event = envelope(payload)
    keys = await book.catalogues.account_keys(book.database)
    return Delivery(event, payload, translate(event.event, keys))


def url_to_ask(book: Book, delivery: Delivery) -> str | None:
    """The path of Stripe's API that tells what nobody can read of the event.

    None without a key, and for Stripe's own answers.
    """
    if book.stripe is None or is_answer(delivery.envelope.id):
        return None
    return object_url(delivery.envelope.event)


def ruled_at_sight(book: Book, delivery: Delivery) -> Ruling | None:
    """The ruling on an event from which nothing follows, whatever the book holds; else None."""
    if delivery.envelope.livemode != book.livemode:
        mode = "live" if delivery.envelope.livemode else "test"
        return Ruling(Verdict.REFUSED, f"a {mode} event does not touch this book")
    match delivery.says:
        case Ignored(reason=reason):
            return Ruling(Verdict.IGNORED, reason)
        case Parked(reason=reason) if url_to_ask(book, delivery) is None:
            return Ruling(Verdict.PARKED, reason)
        case Thin() if book.stripe is None:
            return Ruling(Verdict.IGNORED, "thin event, no API key")
        case Thin(url=None):
            return Ruling(Verdict.PARKED, "unknown shape: related_object names no path of the API")
    return None
