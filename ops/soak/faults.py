"""Faults of the first half of a soak; in the second nothing is ended, and memory is watched."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ops.soak.book import RunningBook

BACK_S_MAX: Final = 60.0


@dataclass(frozen=True)
class Fault:
    """A signal, and the processes that it is sent to."""

    told: str
    victim: Callable[[RunningBook], int | None]
    number: signal.Signals


def _postgres(book: RunningBook) -> int | None:
    try:
        pid = book.postgres()
    except (OSError, ValueError, IndexError):  # it is starting
        return None
    return pid if os.path.exists(f"/proc/{pid}") else None


def _first(word: str) -> Callable[[RunningBook], int | None]:
    return lambda book: next(iter(book.pids(word)), None)


# When, as a part of the soak's length → what.
FAULTS: Final[Mapping[float, Fault]] = {
    0.06: Fault("PostgreSQL is restarted (SIGINT)", _postgres, signal.SIGINT),
    0.14: Fault("Redis is ended (SIGTERM)", _first("valkey-server"), signal.SIGTERM),
    0.20: Fault("the server is ended (SIGTERM)", _first("serve"), signal.SIGTERM),
    0.28: Fault("the worker is ended (SIGTERM)", _first("worker"), signal.SIGTERM),
    0.34: Fault("PostgreSQL is killed (SIGKILL)", _postgres, signal.SIGKILL),
    0.42: Fault("the server's main process is killed (SIGKILL)", _first("serve"), signal.SIGKILL),
}


async def cause(book: RunningBook, seconds: float) -> list[str]:
    """Cause each fault in its turn; return the words of what was done."""
    done, before = [], 0.0
    for part, fault in FAULTS.items():
        await asyncio.sleep((part - before) * seconds)
        before = part
        os.kill(await _there(book, fault), fault.number)
        done.append(fault.told)
    return done


async def _there(book: RunningBook, fault: Fault) -> int:
    """Wait for the process: it may still be on its way back from the fault before."""
    ends_at = time.monotonic() + BACK_S_MAX
    while (pid := fault.victim(book)) is None:
        if time.monotonic() > ends_at:
            raise RuntimeError(f"Nobody was there: {fault.told}")
        await asyncio.sleep(0.1)
    return pid
