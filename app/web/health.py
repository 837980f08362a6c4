"""/health: whether the process lives, and whether it can serve."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, get
from litestar.datastructures import State

from app.errors import BusyError
from app.infrastructure import migrations
from app.infrastructure.limiter import Limiter
from app.web import problems
from app.web.access import Access, access


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["live"]


class Ready(msgspec.Struct, frozen=True):
    """``degraded`` names what is away without stopping anything."""

    status: Literal["ready"]
    degraded: list[str]


@get(
    "/health/live", responses=problems.declared(400), tags=["Health"], sync_to_thread=False,
    **access(Access.OPEN),
)  # fmt: skip
def live() -> Live:
    """200 while the process answers."""
    return Live("live")


@get("/health/ready", responses=problems.declared(400), tags=["Health"], **access(Access.OPEN))
async def ready(request: Request[Any, Any, Any], state: State) -> Ready:
    """200 when the database answers and is migrated; Redis and late runs only degrade."""
    missing = await migrations.missing(state.book.database)
    if missing:
        raise BusyError(
            f"The database lacks migrations: {', '.join(missing)}. Run `tallybook migrate`."
        )
    late = await state.book.database.fetchval(
        """SELECT exists(SELECT FROM accounts
                          WHERE due_at < (SELECT tallybook_now()) - interval '5 minutes')"""
    )
    limiter: Limiter | None = state.limiter
    away = limiter is not None and limiter.away
    return Ready("ready", [*(["runs_late"] if late else []), *(["redis_away"] if away else [])])
