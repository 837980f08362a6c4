"""The choice of server for reports: the replica once it has what the primary has, else the primary.

Horizon and clock always come from the primary, since a standby knows neither. A replica that is
away, or behind for longer than a report waits, is not asked for some seconds. Then reports cost
the primary what they cost without a replica. No report is answered with less than what was
acknowledged when it was asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Concatenate, Final, Literal, ParamSpec, TypeVar

import asyncpg
import structlog

from app.audit.horizon import Horizon, Horizons, raise_floor
from app.infrastructure import sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.audit import row_types


WAIT_SECONDS_MAX: Final = 1.0
ALONE_SECONDS: Final = 5.0  # a replica that failed is not asked again for so long
_POLL_SECONDS: Final = (0.002, 0.005, 0.01, 0.02)  # after that the last line is written once more
_SQL: Final[row_types.ReadingsSql] = sql.beside(__file__)

By = Literal["replica", "primary"]
P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger("tallybook.replica")


class BehindError(Exception):
    """The replica has not replayed in time what the primary has acknowledged."""


# Errors of a replica that the primary may not have: it is away, has no such database, or canceled a
# statement for its replay. A statement that took too long would take too long there, too.
_FAILED: Final = (
    BehindError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class Readings:
    """The databases that answer reports; ``replica`` is None for a book without one.

    ``count`` is called with the server that answered, if there is a choice.
    """

    def __init__(
        self, primary: Database, replica: Database | None, count: Callable[[By], None]
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._count = count
        self._horizons = Horizons()
        self._left_at: float | None = None  # when it last failed and has not answered since

    async def ask(
        self,
        report: Callable[Concatenate[Database, Horizons, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call ``report`` with a database to read from and the horizons that hold there.

        Its transactions see everything that was acknowledged when this was called, and everything
        below a horizon that it asked for. It may be called twice.
        """
        replica = self._replica
        if replica is None:
            return await report(self._primary, self._horizons, *args, **kwargs)
        if self._left_at is not None and time.monotonic() < self._left_at + ALONE_SECONDS:
            return await self._on_primary(report, *args, **kwargs)
        horizons = _ReplayedHorizons(self._primary, replica)
        try:
            await replayed(self._primary, replica)
            answer = await report(replica, horizons, *args, **kwargs)
        except asyncpg.QueryCanceledError:
            raise
        except _FAILED as error:
            answer = await self._on_primary(report, *args, **kwargs)
            self._leave_alone(error)  # only now: the primary may be the one that failed
            return answer
        self._count("replica")
        if self._left_at is not None:
            self._left_at = None
            log.info("replica_back")
        return answer

    async def ask_posted(
        self, report: Callable[Concatenate[Database, P], Awaitable[T]], *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:  # fmt: skip
        """Like `ask`, for a report without a horizon: it shows what is posted."""

        async def posted(database: Database, _: Horizons) -> T:
            return await report(database, *args, **kwargs)

        return await self.ask(posted)

    async def _on_primary(
        self,
        report: Callable[Concatenate[Database, Horizons, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        answer = await report(self._primary, self._horizons, *args, **kwargs)
        self._count("primary")
        return answer

    def _leave_alone(self, error: Exception) -> None:
        told, self._left_at = self._left_at is not None, time.monotonic()
        if not told:
            log.warning(
                "replica_left",
                error=type(error).__name__,
                detail=str(error),
                remedy="the primary answers reports; `tallybook doctor` looks at the replica",
            )


class _ReplayedHorizons(Horizons):
    """The primary's horizons; each is returned once the replica has everything below it."""

    def __init__(self, primary: Database, replica: Database) -> None:
        super().__init__()
        self._primary = primary
        self._replica = replica

    async def find(self, database: Database) -> Horizon:
        horizon = await super().find(self._primary)
        await replayed(self._primary, self._replica)
        return horizon

    async def of(self, database: Database, table: str) -> int:
        number = await super().of(self._primary, table)
        await replayed(self._primary, self._replica)
        return number


async def replayed(primary: Database, replica: Database) -> None:
    """Wait until the replica has replayed what the primary has acknowledged by now.

    Raises BehindError if that takes longer than a report waits.
    """
    # The book's floor rises ten times a second while reports ask for it. A position alone would not
    # be enough: a server that was a replica once and was promoted since could have reached it, too.
    floor = await raise_floor(primary)
    position = await primary.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    ends_at = time.monotonic() + WAIT_SECONDS_MAX
    polls = 0
    while not await replica.fetchval(_SQL["has_replayed"](position=position, floor=floor)):
        if time.monotonic() >= ends_at:
            raise BehindError(f"It has not replayed {position} within {WAIT_SECONDS_MAX} s.")
        await asyncio.sleep(_POLL_SECONDS[min(polls, len(_POLL_SECONDS) - 1)])
        polls += 1
