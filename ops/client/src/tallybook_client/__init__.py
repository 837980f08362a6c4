"""A client of Tallybook: spends, holds and balances, with idempotency keys and retries."""

from ._asynchronous import AsyncClient, AsyncHeld
from ._synchronous import Client, Held
from .errors import (
    AccountClosedError,
    AccountSuspendedError,
    AccountUnknownError,
    BusyError,
    ForbiddenError,
    HoldClosedError,
    HoldExpiredError,
    HoldTooLongError,
    HoldUnknownError,
    InsufficientCreditsError,
    InvalidRequestError,
    InvalidWebhookError,
    KeyReusedError,
    NoAnswerError,
    ProblemError,
    RateLimitedError,
    ReturnExceedsSpendError,
    TallybookError,
    UnauthenticatedError,
)
from .pricing import PricedRoutes, priced
from .webhooks import verify_webhook

__all__ = [
    "AccountClosedError",
    "AccountSuspendedError",
    "AccountUnknownError",
    "AsyncClient",
    "AsyncHeld",
    "BusyError",
    "Client",
    "ForbiddenError",
    "Held",
    "HoldClosedError",
    "HoldExpiredError",
    "HoldTooLongError",
    "HoldUnknownError",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "InvalidWebhookError",
    "KeyReusedError",
    "NoAnswerError",
    "PricedRoutes",
    "ProblemError",
    "RateLimitedError",
    "ReturnExceedsSpendError",
    "TallybookError",
    "UnauthenticatedError",
    "priced",
    "verify_webhook",
]
