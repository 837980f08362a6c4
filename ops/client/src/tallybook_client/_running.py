"""Threads and tasks that keep a hold alive, and sleep: all in which sync and async differ."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable


async def async_sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


class AsyncBeat:
    """A task that calls ``act`` every ``every_s`` seconds until it says False or is ended."""

    def __init__(self, every_s: float, act: Callable[[], Awaitable[bool]]) -> None:
        self._task = asyncio.create_task(self._run(every_s, act))

    async def _run(self, every_s: float, act: Callable[[], Awaitable[bool]]) -> None:
        going = True
        while going:
            await asyncio.sleep(every_s)
            going = await act()

    async def end(self) -> None:
        """End it, and wait for that."""
        self._task.cancel()
        # wait() raises nothing of the task's, and lets a cancellation of the caller through.
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()


class Beat:
    """A thread that calls ``act`` every ``every_s`` seconds until it says False or is ended."""

    def __init__(self, every_s: float, act: Callable[[], bool]) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(every_s, act), daemon=True)
        self._thread.start()

    def _run(self, every_s: float, act: Callable[[], bool]) -> None:
        while not self._ended.wait(every_s) and act():
            pass

    def end(self) -> None:
        """End it, and wait for that."""
        self._ended.set()
        self._thread.join()
