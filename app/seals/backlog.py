"""When what is still to be sealed was recorded: a head says up to when its log is complete."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from app.audit.horizon import Horizon
from app.infrastructure import sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.BacklogSql] = sql.beside(__file__)
STRETCH: Final = 1_024  # ids


class Backlog:
    """The entries below a horizon, of which chunk after chunk is sealed.

    Ids and instants ascend together within an account alone, so the first instant that is left may
    stand anywhere: it is looked for once, by stretches of ids. Looking again after each chunk cost
    the square of the backlog.
    """

    def __init__(self, database: Database, horizon: Horizon) -> None:
        self._database = database
        self._horizon = horizon
        self._stretches: list[int] | None = None
        self._first: list[datetime] = []

    async def complete_to(self, entry_id: int) -> datetime:
        """The instant up to which all that was recorded is in a log that ends with this entry."""
        if self._stretches is None:
            rows = await self._database.fetch(
                _SQL["stretches"](after=entry_id, up_to=self._horizon.entry_id, ids=STRETCH)
            )
            self._stretches = [row["stretch"] for row in rows]
            # The first instant in this stretch and all after it.
            self._first = list(accumulate((row["first"] for row in reversed(rows)), min))[::-1]
        stretch = entry_id // STRETCH
        beyond = bisect_right(self._stretches, stretch)
        end = min((stretch + 1) * STRETCH - 1, self._horizon.entry_id)
        within = await self._database.fetchval(_SQL["within"](after=entry_id, up_to=end))
        left: list[datetime] = [one for one in (within, *self._first[beyond : beyond + 1]) if one]
        return min(self._horizon.complete_to, *(one - timedelta(microseconds=1) for one in left))
