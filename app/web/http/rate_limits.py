"""Rate limits at the door: each key has its own, and each address for its calls that fail to open.

Those are calls without a good key, without the cron's secret and without Stripe's signature. What
is good gets through however many bad ones came from the same address, and so do probes: health
and metrics are answered from memory when they are asked for often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar.connection import ASGIConnection

from app.errors import RateLimitedError
from app.infrastructure.limiter import Allowance, Limiter
from app.infrastructure.rates import Address, Rate, RateLimits, bucket_of, client_ip

_STATE: Final = "allowance"


async def of_key(connection: ASGIConnection[Any, Any, Any, Any], key_id: str) -> None:
    """Count a call of this key; RateLimitedError if there were too many."""
    limits: RateLimits | None = connection.app.state.settings.rate_limits
    if limits is not None:
        await _take(connection, limits.of_key, f"key:{key_id}")


async def of_address(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Count a call that failed to open; RateLimitedError if there were too many."""
    limits: RateLimits | None = connection.app.state.settings.rate_limits
    if limits is not None:
        await _take(connection, limits.of_address, f"address:{bucket_of(caller_ip(connection))}")


async def of_page(connection: ASGIConnection[Any, Any, Any, Any], account: str) -> None:
    """Count a look at this account's page; RateLimitedError if there were too many."""
    limits: RateLimits | None = connection.app.state.settings.rate_limits
    if limits is not None:
        await _take(connection, limits.of_address, f"page:{account}")


def caller_ip(connection: ASGIConnection[Any, Any, Any, Any]) -> Address | None:
    """The address that the call comes from."""
    # Of the scope itself: Litestar's properties make an object of each.
    scope = connection.scope
    peer = scope["client"][0] if scope["client"] else None
    forwarded = [
        value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
    ]
    return client_ip(peer, forwarded, connection.app.state.settings.trusted_proxies)


async def _take(connection: ASGIConnection[Any, Any, Any, Any], rate: Rate, subject: str) -> None:
    state = connection.app.state
    limiter: Limiter | None = state.limiter
    allowance = await limiter.take(rate, subject) if limiter else None
    if allowance is None:
        return
    connection.scope["state"][_STATE] = allowance
    if allowance.retry_after_s:
        state.metrics.rate_limited.inc()
        raise RateLimitedError(
            f"At most {rate.limit} calls in {rate.window_s} s; try again later.",
            retry_after_s=allowance.retry_after_s,
        )


def headers(scope: Mapping[str, Any]) -> Iterable[tuple[bytes, bytes]]:
    """The answer's headers on the caller's rate, if the call was counted."""
    allowance: Allowance | None = scope.get("state", {}).get(_STATE)
    if allowance is None:
        return ()
    return (
        (b"ratelimit-limit", b"%d" % allowance.limit),
        (b"ratelimit-remaining", b"%d" % allowance.remaining),
        (b"ratelimit-reset", b"%d" % allowance.reset_s),
    )
