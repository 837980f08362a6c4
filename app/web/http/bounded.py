"""Bounds on the cost of open routes and reports, however often they are called."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Generic, TypeVar

from app.errors import BusyError

LOOKS_A_SECOND: Final = 5
REPORTS_AT_ONCE: Final = 3
REPORT_WAIT_SECONDS: Final = 10.0

T = TypeVar("T")


class Looks(Generic[T]):
    """A look that anybody may ask for: made at most five times a second, and shared beyond that."""

    def __init__(self, look: Callable[[], Awaitable[T]]) -> None:
        self._look = look
        self._began: deque[float] = deque(maxlen=LOOKS_A_SECOND)
        self._latest: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """A new look, or the latest one if there were many; what it raised is shared, too."""
        now = time.monotonic()
        often = len(self._began) == LOOKS_A_SECOND and now < self._began[0] + 1.0
        if self._latest is None or (self._latest.done() and not often):
            self._began.append(now)
            self._latest = asyncio.ensure_future(self._look())
            # Nobody may be left to hear of it.
            self._latest.add_done_callback(lambda look: look.cancelled() or look.exception())
        return await asyncio.shield(self._latest)


class Reports:
    """Reports under way in this process: some at once, so that they leave spends the database."""

    def __init__(self, at_once: int = REPORTS_AT_ONCE) -> None:
        self._at_once = at_once
        self._room = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait for room; raise BusyError if there is none for some seconds."""
        try:
            async with asyncio.timeout(REPORT_WAIT_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise BusyError(
                f"{self._at_once} reports are under way; ask again when one has ended."
            ) from None
        try:
            yield
        finally:
            self._room.release()
