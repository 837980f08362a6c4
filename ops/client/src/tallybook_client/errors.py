"""Errors by the ``code`` of the problem.

TallybookError
├── NoAnswerError               no answer came: the outcome is not known
├── InvalidWebhookError         a webhook's signature or body is not good
└── ProblemError                the server refused; ``code`` says why
    ├── InsufficientCreditsError
    ├── AccountUnknownError / AccountClosedError / AccountSuspendedError
    ├── HoldUnknownError / HoldClosedError / HoldExpiredError / HoldTooLongError
    ├── KeyReusedError / ReturnExceedsSpendError / InvalidRequestError
    ├── UnauthenticatedError / ForbiddenError
    └── RateLimitedError / BusyError
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar


class TallybookError(Exception):
    """Root of the tree."""


class NoAnswerError(TallybookError):
    """No answer came. Whether the call happened is not known: repeat it under ``key``."""

    def __init__(self, detail: str, key: str | None) -> None:
        super().__init__(detail)
        self.key = key


class InvalidWebhookError(TallybookError):
    """The signature, the time or the body of a webhook is not good."""


class ProblemError(TallybookError):
    """A refusal by the server, with the facts of its problem."""

    of_code: ClassVar[str | None] = None

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", "internal"))
        self.detail = str(problem.get("detail", ""))
        # A proxy's own 502 to 504 has no problem: the server did not say no.
        self.retryable = bool(problem.get("retryable", status in (429, 502, 503, 504)))
        super().__init__(f"{status} {self.code}: {self.detail}")


class InsufficientCreditsError(ProblemError):
    """There is not enough to spend."""

    of_code = "insufficient_credits"

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(status, problem)
        self.available = int(problem["available"])
        self.required = int(problem["required"])
        at = problem.get("next_grant_at")
        self.next_grant_at = datetime.fromisoformat(at.replace("Z", "+00:00")) if at else None


class AccountUnknownError(ProblemError):
    """There is no such account."""

    of_code = "account_unknown"


class AccountClosedError(ProblemError):
    """The account is closed."""

    of_code = "account_closed"


class AccountSuspendedError(ProblemError):
    """The account is suspended."""

    of_code = "account_suspended"


class HoldUnknownError(ProblemError):
    """There is no such hold."""

    of_code = "hold_unknown"


class HoldClosedError(ProblemError):
    """The hold was captured or released already."""

    of_code = "hold_closed"


class HoldExpiredError(ProblemError):
    """The hold's deadline has passed."""

    of_code = "hold_expired"


class HoldTooLongError(ProblemError):
    """A hold lasts seven days at most."""

    of_code = "hold_too_long"


class KeyReusedError(ProblemError):
    """The idempotency key was used for other content."""

    of_code = "idempotency_key_reused"


class ReturnExceedsSpendError(ProblemError):
    """More was to be given back than is left of the spend."""

    of_code = "return_exceeds_spend"


class InvalidRequestError(ProblemError):
    """The request is not what the schema says."""

    of_code = "invalid_request"


class UnauthenticatedError(ProblemError):
    """The API key is missing or not known."""

    of_code = "unauthenticated"


class ForbiddenError(ProblemError):
    """The API key's scope does not allow the call."""

    of_code = "forbidden"


class RateLimitedError(ProblemError):
    """There were too many calls."""

    of_code = "rate_limited"


class BusyError(ProblemError):
    """The server's database did not come in time."""

    of_code = "busy"


_BY_CODE = {kind.of_code: kind for kind in ProblemError.__subclasses__()}


def problem_error(status: int, problem: dict[str, Any]) -> ProblemError:
    """Make the error of this problem."""
    return _BY_CODE.get(problem.get("code"), ProblemError)(status, problem)
