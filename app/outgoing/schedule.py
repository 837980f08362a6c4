"""When a message is tried again, and how long a failing endpoint is left alone."""

from __future__ import annotations

from typing import Final

_HOUR_S: Final = 3_600
DELAYS_S: Final = (
    *(5, 30, 120, 600, 1_800),
    *(_HOUR_S, 2 * _HOUR_S, 4 * _HOUR_S, 8 * _HOUR_S, 12 * _HOUR_S),
)
TRIED_S_MAX: Final = 3 * 24 * _HOUR_S  # after that the message is a dead letter
RETRY_AFTER_S_MAX: Final = _HOUR_S
HOLD_AFTER_FAILURES: Final = 3
HOLD_S_MAX: Final = 60
DISABLE_AFTER_S: Final = 5 * 24 * _HOUR_S
# One failing message a week does not mean that an endpoint is gone.
DISABLE_AFTER_FAILURES: Final = 10


def next_delay_s(attempt_count: int, tried_s: float, retry_after_s: int | None) -> int | None:
    """Return the seconds until the next attempt; the first attempt was ``tried_s`` ago.

    Returns None when the message has been tried long enough. A receiver may ask for a longer
    delay, up to an hour.
    """
    if tried_s >= TRIED_S_MAX:
        return None
    delay_s = DELAYS_S[min(attempt_count, len(DELAYS_S)) - 1]
    return max(delay_s, min(retry_after_s or 0, RETRY_AFTER_S_MAX))


def hold_s(failure_count: int) -> int:
    """Return the seconds in which nothing is tried at an endpoint, by its failures in a row.

    One message that its receiver cannot take delays no other: every success resets the count.
    """
    if failure_count < HOLD_AFTER_FAILURES:
        return 0
    return int(min(DELAYS_S[0] * 2 ** (failure_count - HOLD_AFTER_FAILURES), HOLD_S_MAX))


def is_gone(failing_s: float, failure_count: int) -> bool:
    """Return whether an endpoint that has failed for so long is to be disabled."""
    return failing_s >= DISABLE_AFTER_S and failure_count >= DISABLE_AFTER_FAILURES
