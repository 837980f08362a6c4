"""Tones of the words that the API uses for states and verdicts; a badge has one of five."""

from __future__ import annotations

from typing import Final

_TONES: Final = {
    "good": (
        *("active", "applied", "captured", "done", "delivered", "enabled", "finished", "issued"),
        *("open", "posted", "proven", "ready", "recovered", "sealed", "succeeded", "verified"),
    ),
    "warn": (
        *("parked", "past_due", "suspended", "low", "retrying", "skipped", "unusual_use"),
        *("degraded", "unpaid", "paused", "frozen", "gift_disputed", "hold_leaked"),
    ),
    "bad": ("refused", "failed", "depleted", "debt", "broken", "revoked", "disabled", "given_up"),
    "note": ("created", "held", "queued", "running", "pending", "trialing", "under_way", "new"),
}
_BY_WORD: Final = {word: tone for tone, words in _TONES.items() for word in words}


def tone(word: object) -> str:
    """The tone of a state or verdict: good, warn, bad, note, or quiet for all others."""
    return _BY_WORD.get(str(word), "quiet")


def words(name: object) -> str:
    """A name of the API as people write it: ``past_due`` is `past due`."""
    return str(name).replace("_", " ")
