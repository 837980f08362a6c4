"""What is done to the book in the first half; the second is left in peace, and watched."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

from ops.soak.book import RunningBook

Fault = Callable[[RunningBook], None]


def _postgres(number: signal.Signals) -> Fault:
    return lambda book: os.kill(book.postgres(), number)


def _first(word: str, number: signal.Signals) -> Fault:
    return lambda book: os.kill(book.pids(word)[0], number)


# When, as a part of the soak's length → what.
FAULTS: Final[Mapping[float, tuple[str, Fault]]] = {
    0.06: ("PostgreSQL is restarted (SIGINT)", _postgres(signal.SIGINT)),
    0.14: ("Redis is ended (SIGTERM)", _first("redis-server", signal.SIGTERM)),
    0.20: ("the server is ended (SIGTERM)", _first("serve", signal.SIGTERM)),
    0.28: ("the worker is ended (SIGTERM)", _first("worker", signal.SIGTERM)),
    0.34: ("PostgreSQL is killed (SIGKILL)", _postgres(signal.SIGKILL)),
    0.42: ("the server's main process is killed (SIGKILL)", _first("serve", signal.SIGKILL)),
}


async def cause(book: RunningBook, seconds: float) -> list[str]:
    """All of them in their order; what was done."""
    done, before = [], 0.0
    for part, (told, fault) in FAULTS.items():
        await asyncio.sleep((part - before) * seconds)
        before = part
        fault(book)
        done.append(told)
    return done
