"""When to send a call again; no I/O."""

from __future__ import annotations

import random
from typing import Any

import httpx

from .errors import ProblemError, problem_error

PAUSE_FIRST_S = 0.1
PAUSE_S_MAX = 5.0
RETRY_AFTER_S_MAX = 60.0


def pause_s(attempt: int, answer: httpx.Response | None = None) -> float:
    """Seconds to wait after this attempt (1 is the first): Retry-After, or a growing pause."""
    said = answer.headers.get("retry-after", "") if answer is not None else ""
    # Tallybook sends seconds; a proxy may send a date, which the growing pause stands for.
    if said.isdecimal():
        return min(float(said), RETRY_AFTER_S_MAX)
    # Up to halved by chance, so that callers do not return together.
    longest = min(PAUSE_FIRST_S * 2.0 ** (attempt - 1), PAUSE_S_MAX)
    return longest * random.uniform(0.5, 1)  # noqa: S311


def refusal(answer: httpx.Response) -> ProblemError | None:
    """Read the error of an answer; None for a success."""
    if answer.is_success:
        return None
    try:
        problem: Any = answer.json()
    except ValueError:
        problem = None
    return problem_error(answer.status_code, problem if isinstance(problem, dict) else {})
