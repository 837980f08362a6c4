"""Rate limits: tokens leased from Redis by one atomic script; fails open if Redis is away.

A limit protects the service and decides nothing. A Redis that is slow, hangs or is gone costs one
call at most ``ANSWER_SECONDS_MAX``; until it answers again further calls pass without delay.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.infrastructure.rates import Rate

log = structlog.get_logger("tallybook.limits")

ANSWER_SECONDS_MAX: Final = 0.1
CONNECT_SECONDS_MAX: Final = 1.0
RETRY_SECONDS: Final = 1.0
CONNECTIONS_MAX: Final = 8
# A busy caller takes tokens for a tenth of a second, kept for some seconds: a call then costs 2 µs
# of Python instead of redis-py's 100. Each further process lets at most a tenth of a second's calls
# more through. A slow rate takes its tokens one by one, and its limit is exact.
LEASES_A_SECOND: Final = 10
LEASE_TOKENS_MAX: Final = 50
LEASE_SECONDS: Final = 10.0
REFUSAL_SECONDS_MAX: Final = 1.0  # a refused caller is refused for so long without asking Redis
SUBJECTS_MAX: Final = 10_000
# The generic cell rate algorithm: one number for each caller says when its bucket is full again.
# Redis' clock and Redis' one thread make it right over any number of processes. A number further
# ahead than the window is not ours, or is of a longer window that was set before.
SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = ARGV[2] * 1000000
local interval = window / ARGV[1]
local stored = redis.pcall('GET', KEYS[1])
local full_at = type(stored) == 'string' and tonumber(stored) or now
if not (full_at > now and full_at <= now + window) then full_at = now end
local room = math.floor((now + window - full_at) / interval + 0.000001)
local taken = math.min(tonumber(ARGV[3]), room)
if taken < 1 then
    return {0, 0, math.ceil(full_at + interval - now - window), math.ceil(full_at - now)}
end
local next = full_at + taken * interval
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1)
return {taken, room - taken, 0, math.ceil(next - now)}
"""
_MICROSECONDS: Final = 1_000_000


class Allowance(msgspec.Struct, frozen=True):
    """The rest of a rate; with ``retry_after_s`` 0 the call passes."""

    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int


class _Lease:
    """A caller's tokens in this process, or the time until which it has none."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.waiting = 0
        self.tokens = 0
        self.beyond = 0  # tokens that were left in Redis
        self.ends_at = 0.0
        self.full_at = 0.0
        self.free_at = 0.0

    def take(self, rate: Rate, now: float) -> Allowance | None:
        """Take a token, or return when there is one; None if Redis must be asked."""
        if self.tokens and now < self.ends_at:
            self.tokens -= 1
            return self._allowance(rate, now, retry_after_s=0)
        if now < min(self.free_at, self.ends_at):
            return self._allowance(rate, now, retry_after_s=math.ceil(self.free_at - now))
        return None

    def renew(self, now: float, taken: int, left: int, wait_us: int, full_in_us: int) -> None:
        """Store the script's answer."""
        self.tokens, self.beyond = taken, left
        self.full_at = now + full_in_us / _MICROSECONDS
        self.free_at = now + wait_us / _MICROSECONDS
        self.ends_at = now + (LEASE_SECONDS if taken else REFUSAL_SECONDS_MAX)

    def _allowance(self, rate: Rate, now: float, *, retry_after_s: int) -> Allowance:
        return Allowance(
            limit=rate.limit,
            remaining=self.tokens + self.beyond,
            reset_s=max(0, math.ceil(self.full_at - now)),
            retry_after_s=retry_after_s,
        )


class Limiter:
    """Counts calls in Redis; in the background looks for a Redis that went away."""

    def __init__(
        self,
        url: str,
        failed: Callable[[], None] = lambda: None,
        within_s: float | None = None,
    ) -> None:
        """``failed`` is called for each call that passed uncounted."""
        self._within_s = within_s or ANSWER_SECONDS_MAX
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=self._within_s,
            socket_timeout=max(self._within_s, CONNECT_SECONDS_MAX),
            socket_connect_timeout=CONNECT_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._script = self._redis.register_script(SCRIPT)
        self._failed = failed
        self._away = True
        self._wanted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._leases: dict[str, _Lease] = {}

    @property
    def away(self) -> bool:
        """Return whether Redis does not answer now."""
        return self._away

    async def open(self) -> None:
        """Ask Redis for the first time, and again and again while it does not answer."""
        await self._try(told=False)
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Close the connections."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    async def take(self, rate: Rate, subject: str) -> Allowance | None:
        """Count one call of ``subject``; None if Redis cannot say: then let the call pass."""
        lease = self._leases.get(subject) or self._lease(subject)
        allowance = lease.take(rate, time.monotonic())
        while allowance is None:
            if self._away:
                self._failed()
                return None
            lease.waiting += 1
            try:
                async with lease.asking:
                    allowance = lease.take(rate, time.monotonic())
                    if allowance is None:
                        await self._ask(lease, rate, subject)
                        allowance = lease.take(rate, time.monotonic())
            finally:
                lease.waiting -= 1
        return allowance

    def _lease(self, subject: str) -> _Lease:
        if len(self._leases) >= SUBJECTS_MAX:
            self._leases = {name: one for name, one in self._leases.items() if one.waiting}
        return self._leases.setdefault(subject, _Lease())

    async def _ask(self, lease: _Lease, rate: Rate, subject: str) -> None:
        """Lease tokens for all who wait, and more if the rate is fast."""
        by_rate = min(rate.limit // (rate.window_s * LEASES_A_SECOND), LEASE_TOKENS_MAX)
        try:
            async with asyncio.timeout(self._within_s):
                told = await self._script(
                    keys=[f"tallybook:limit:{subject}"],
                    args=[rate.limit, rate.window_s, max(by_rate, lease.waiting)],
                )
        except (RedisError, OSError, TimeoutError):
            self._away = True
            self._wanted.set()
            return
        lease.renew(time.monotonic(), *told)

    async def _try(self, *, told: bool) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            self._away = True
            if not told:
                log.warning("redis_away", error=type(error).__name__, remedy="no limits")
        else:
            self._away = False

    async def _keep(self) -> None:
        """Ask again and again while Redis is away; an idle limiter notices at its next call."""
        while True:
            told = False
            while self._away:
                await asyncio.sleep(RETRY_SECONDS)
                await self._try(told=told)
                told = True
            self._wanted.clear()
            await self._wanted.wait()
