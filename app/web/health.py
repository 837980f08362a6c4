"""Health: whether the process lives, and whether it can serve."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import msgspec
from litestar import get
from litestar.datastructures import State

from app.errors import BusyError
from app.infrastructure import migrations
from app.infrastructure.limiter import Limiter
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.bounded import Looks

STALLED_S_MAX: Final = 2.0


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["live"]


class Ready(msgspec.Struct, frozen=True):
    """``degraded`` names what is away without stopping anything."""

    status: Literal["ready"]
    degraded: list[str]


@get(
    "/health/live",
    responses=problems.declared(400),
    tags=["Health"],
    sync_to_thread=False,
    **access(Access.OPEN),
)
def get_liveness() -> Live:
    """Answer 200 while the process runs."""
    return Live("live")


@get("/health/ready", responses=problems.declared(400), tags=["Health"], **access(Access.OPEN))
async def get_readiness(state: State) -> Ready:
    """Answer 200 when spends work and migrations are done; Redis and late runs only degrade."""
    looks: Looks[Ready] = state.readiness
    return await looks.get()


async def readiness(state: State) -> Ready:
    """Look whether this process can serve; raises BusyError."""
    missing = await migrations.missing(state.book.database)
    if missing:
        raise BusyError(
            f"The database lacks migrations: {', '.join(missing)}. Run `tallybook migrate`."
        )
    await _require_spends(state)
    late = await state.book.database.fetchval(
        # By min(), which is one look at the index: EXISTS reads every account where none is late.
        """SELECT coalesce(min(due_at) < (SELECT tallybook_now()) - interval '5 minutes', false)
             FROM accounts"""
    )
    limiter: Limiter | None = state.limiter
    away = limiter is not None and limiter.away
    return Ready("ready", [*(["runs_late"] if late else []), *(["redis_away"] if away else [])])


async def _require_spends(state: State) -> None:
    """Raise BusyError if no spend would go through now."""
    stalled_s = state.spends.stalled_s()
    if stalled_s > STALLED_S_MAX:
        raise BusyError(f"Spends do not go through: one has been under way for {stalled_s:.0f} s.")
    try:
        async with asyncio.timeout(STALLED_S_MAX):
            await state.spending.database.fetchval("SELECT 1")
    except TimeoutError:
        raise BusyError("Spends do not go through: their connections are all taken.") from None
