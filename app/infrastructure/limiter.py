"""Rate limits: one atomic Redis script for each call, and open doors where Redis is away.

A limit protects; it decides nothing. So a Redis that is slow, hangs or is gone costs a call at
most ``ANSWER_SECONDS_MAX``, once, and then nothing until it answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from app.infrastructure.rates import Rate
from app.infrastructure.redis_pipe import RedisPipe, connect, pack

log = structlog.get_logger("tallybook.limits")

ANSWER_SECONDS_MAX: Final = 0.1
PING_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
# The generic cell rate algorithm: one number for each caller says from when on its bucket is full
# again. Redis' clock and Redis' one thread make it right over any number of processes.
SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = ARGV[2] * 1000000
local interval = window / ARGV[1]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local next = full_at + interval
if next - now > window then
    return {0, math.ceil(next - now - window), math.ceil(full_at - now)}
end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1)
return {1 + math.floor((window - (next - now)) / interval), 0, math.ceil(next - now)}
"""
_MICROSECONDS: Final = 1_000_000


class Allowance(msgspec.Struct, frozen=True):
    """What is left of a rate; ``retry_after_s`` 0 lets the call through."""

    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int


class Limiter:
    """Keeps one connection to Redis, in the background."""

    def __init__(
        self,
        url: str,
        failed: Callable[[], None] = lambda: None,
        within_s: float | None = None,
    ) -> None:
        """``failed`` is called for each call that was let through unseen."""
        self._url = url
        self._within_s = within_s or ANSWER_SECONDS_MAX
        self._failed = failed
        self._pipe: RedisPipe | None = None
        self._script = b""
        self._keeping: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether Redis does not answer at present."""
        return self._pipe is None

    async def open(self) -> None:
        """Begin to keep the connection; returns though there is none yet."""
        first = asyncio.Event()
        self._keeping = asyncio.create_task(self._keep(first))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(first.wait(), RETRY_SECONDS)

    async def close(self) -> None:
        """End the connection."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def take(self, rate: Rate, subject: str) -> Allowance | None:
        """Count one call of ``subject``; None where Redis cannot say: let it through."""
        pipe = self._pipe
        if pipe is None:
            self._failed()
            return None
        command = pack(
            "EVALSHA",
            self._script,
            "1",
            f"tallybook:limit:{subject}",
            str(rate.limit),
            str(rate.window_s),
        )
        try:
            left, wait_us, full_in_us = await pipe.call(command, self._within_s)
        except ConnectionError:
            if self._pipe is pipe:
                self._pipe = None
            pipe.close()  # the script was flushed, or Redis hangs: begin anew
            self._failed()
            return None
        return Allowance(
            limit=rate.limit,
            remaining=max(left - 1, 0),
            reset_s=math.ceil(full_in_us / _MICROSECONDS),
            retry_after_s=math.ceil(wait_us / _MICROSECONDS),
        )

    async def _keep(self, tried: asyncio.Event) -> None:
        pipe: RedisPipe | None = None
        told = False
        try:
            while True:
                try:
                    pipe = await connect(self._url)
                    self._script = await pipe.call(pack("SCRIPT", "LOAD", SCRIPT), RETRY_SECONDS)
                    self._pipe, told = pipe, False
                    tried.set()
                    await self._watch(pipe)
                except (OSError, TimeoutError) as error:
                    if not told:
                        log.warning("redis_away", error=type(error).__name__, remedy="no limits")
                    told = True
                self._pipe = None
                tried.set()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._pipe = None
            if pipe is not None:
                pipe.close()

    @staticmethod
    async def _watch(pipe: RedisPipe) -> None:
        """Returns or raises once the connection is of no use any more."""
        while not pipe.closed.is_set():
            await pipe.call(pack("PING"), RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pipe.closed.wait(), PING_SECONDS)
