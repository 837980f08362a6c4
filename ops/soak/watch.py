"""Memory of the processes and connections to the database, looked at while the load runs."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg
import msgspec

from ops.soak.book import RunningBook

EVERY_S: Final = 1.0
MEMORY_RATIO_MAX: Final = 1.15  # the last quarter of the quiet half beside its second
SAMPLES_MIN: Final = 16
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
PROGRAMS: Final = {"server": "serve", "worker": "worker", "Redis": "valkey-server"}


class Sample(msgspec.Struct, frozen=True):
    """One look: resident bytes by program, connections by name."""

    bytes_of: dict[str, int]
    connections: dict[str, int]


class Growth(msgspec.Struct, frozen=True):
    """The memory of a program early and late in the quiet half."""

    program: str
    early_mib: float
    late_mib: float

    @property
    def flat(self) -> bool:
        """Whether it stayed within the bound."""
        return self.late_mib <= MEMORY_RATIO_MAX * self.early_mib


class Watch:
    """Looks at both once a second until it is cancelled."""

    def __init__(self, book: RunningBook, database_url: str) -> None:
        self._book = book
        self._url = database_url
        self.samples: list[Sample] = []

    async def look_on(self) -> None:
        """Look until cancelled."""
        while True:
            connections = await self._connections()
            held = {name: _resident(self._book.pids(word)) for name, word in PROGRAMS.items()}
            self.samples.append(Sample(held, connections))
            await asyncio.sleep(EVERY_S)

    async def _connections(self) -> dict[str, int]:
        try:
            connection = await asyncpg.connect(self._url, timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return {}  # it is being restarted
        try:
            return await connections(connection)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return {}
        finally:
            await connection.close(timeout=5)

    def connections_max(self) -> int:
        """The most connections that were open at one time, without our own."""
        return max((sum(one.connections.values()) for one in self.samples), default=0)

    def growth(self) -> list[Growth]:
        """Return each program's growth in the half without restarts; none if that is too short."""
        quiet = self.samples[len(self.samples) // 2 :]
        if len(quiet) < SAMPLES_MIN:
            return []  # a server that has just started still takes what it needs
        series: defaultdict[str, list[int]] = defaultdict(list)
        for sample in quiet:
            for program, held in sample.bytes_of.items():
                series[program].append(held)
        return [_growth(program, held) for program, held in series.items()]


async def connections(connection: asyncpg.Connection) -> dict[str, int]:
    """Return open connections by application and state, without the asking one."""
    rows = await connection.fetch(
        """SELECT application_name || ', ' || state AS who, count(*) AS count
             FROM pg_stat_activity
            WHERE usename = current_user AND pid <> pg_backend_pid() AND state IS NOT NULL
            GROUP BY 1"""
    )
    return {row["who"]: row["count"] for row in rows}


def _growth(program: str, held: list[int]) -> Growth:
    quarter = max(1, len(held) // 4)
    early, late = held[quarter : 2 * quarter] or held, held[-quarter:]
    return Growth(program, round(median(early) / 2**20, 1), round(median(late) / 2**20, 1))


def _resident(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
        except OSError:
            continue  # gone meanwhile
    return total
