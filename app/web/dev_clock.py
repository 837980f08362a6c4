"""The development clock, moved forward by hand; absent in production."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import get, put
from litestar.datastructures import State
from litestar.params import JSONBody

from app.errors import ConflictError, RefusedError
from app.infrastructure import clock
from app.jobs.tick import advance_clock
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import BodyInstant, Instant, instant
from app.web.http.parameters import parse_instant

CLOCK_YEAR_MAX: Final = 8_999


class ClockBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The instant to move to; `tick` false only moves the clock, as an outage would."""

    now: BodyInstant
    tick: bool = True


class ClockAnswer(msgspec.Struct, frozen=True):
    """The present instant of the book."""

    now: Instant


class ClockBackwardsError(ConflictError):
    """The clock never goes back: the ledger's times ascend."""

    code = "clock_backwards"


@put(
    "/api/v1/dev/clock",
    status_code=200,
    responses=problems.declared(400, 401, 403, 409, 413, 422),
    tags=["Development"],
    **access(Access.OPERATOR),
)
async def set_clock(data: JSONBody[ClockBody], state: State) -> ClockAnswer:
    """Move the clock forward as if each minute's tick had run, in time order."""
    to = parse_instant(data.now, "now")
    if to.year > CLOCK_YEAR_MAX:
        raise RefusedError(f"The clock goes to the year {CLOCK_YEAR_MAX}: a day needs a next one.")
    now = await clock.now(state.book.database)
    if to < now:
        raise ClockBackwardsError(f"The clock stands at {instant(now)} and never goes back.")
    move = advance_clock(state.book, to) if data.tick else clock.stand(state.book.database, to)
    return ClockAnswer(instant(await move))


@get(
    "/api/v1/dev/clock",
    responses=problems.declared(400, 401, 403),
    tags=["Development"],
    **access(Access.OPERATOR),
)
async def get_clock(state: State) -> ClockAnswer:
    """Return the present instant of the book."""
    return ClockAnswer(instant(await clock.now(state.book.database)))
