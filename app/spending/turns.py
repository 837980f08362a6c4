"""Holds take turns: one act of an account at a time, and few connections for all of them.

An act waits for its account as a spend does (see `queue`): first for hardly any time, so that the
acts of other accounts do not wait behind it, then again and again, and no longer than five seconds
after it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from app.errors import BusyError, KeyInFlightError
from app.infrastructure.engine import waiting_for_locks
from app.spending.queue import LANE_WAIT_S, RETRY_S, WAIT_S

Result = TypeVar("Result")

AT_ONCE_MAX: Final = 4
PATIENT_MAX: Final = 2  # acts that wait for a lock, on connections of their own
WAITING_OF_ACCOUNT_MAX: Final = 1_000
CONNECTIONS: Final = AT_ONCE_MAX + PATIENT_MAX


class Turns:
    """The turns of one process."""

    def __init__(self) -> None:
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._patient = asyncio.Semaphore(PATIENT_MAX)
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    async def act(self, name: str, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Carry out the act of an account or hold in its turn.

        ``attempt`` is called again when it raises asyncpg.LockNotAvailableError, and once when it
        raises asyncpg.UniqueViolationError, as somebody else has taken the key meanwhile.
        Raises KeyInFlightError after five seconds, and BusyError when too many wait.
        """
        ends_at = asyncio.get_running_loop().time() + WAIT_S
        if self._waiting.get(name, 0) >= WAITING_OF_ACCOUNT_MAX:
            raise BusyError("Too many requests of this account are waiting; try again.")
        self._waiting[name] = self._waiting.get(name, 0) + 1
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout_at(ends_at):
                await lock.acquire()
            try:
                return await self._until(ends_at, attempt)
            finally:
                lock.release()
        except (TimeoutError, asyncpg.LockNotAvailableError, asyncpg.UniqueViolationError):
            raise KeyInFlightError(
                "The account, or a request under this key, is under way; try again, same key."
            ) from None
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name], self._locks[name]

    async def _until(self, ends_at: float, attempt: Callable[[], Awaitable[Result]]) -> Result:
        loop = asyncio.get_running_loop()
        retried = False
        while True:
            try:
                async with self._at_once:
                    return await attempt()
            except asyncpg.UniqueViolationError:
                if retried:
                    raise
                retried = True
                continue
            except asyncpg.LockNotAvailableError:
                left_s = ends_at - loop.time()
                if left_s <= 0:
                    raise
            if self._patient.locked():
                await asyncio.sleep(min(RETRY_S, left_s))
                continue
            async with self._patient:
                try:
                    with waiting_for_locks(max(1, int(1_000 * min(LANE_WAIT_S, left_s)))):
                        return await attempt()
                except asyncpg.LockNotAvailableError:
                    continue
