"""The one-by-one way of a run: whatever is due of an account, a failing one costing no other."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from app.allowance import load
from app.allowance.catalogues import Catalogues
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.allowance.zones import Wave
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber, RunNumber
from app.ledger.kinds import Kind
from app.runs import run_row
from app.runs.run_row import Counted

log = structlog.get_logger(__name__)

CHUNK_ACCOUNTS: Final = 500

# No account's fault: the database is away, or takes too long.
_AWAY: Final = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


class Passing:
    """Goes through the accounts with something due, by id, so that a failing one is passed.

    ``wave_of_zone`` and ``runs`` tell which run opens which day; ``zones`` None looks at whatever
    is due, else it is the days of these zones alone. What falls due after ``due_by`` is the next
    one's: of a day that begins meanwhile there is no run here.
    """

    def __init__(
        self,
        database: Database,
        catalogues: Catalogues,
        origin: Origin,
        runs: Mapping[Wave, RunNumber],
        wave_of_zone: Mapping[str, Wave],
        zones: Sequence[str] | None,
        due_by: datetime,
    ) -> None:
        self.failed: dict[AccountNumber, str] = {}  # account → its zone
        self._database = database
        self._catalogues = catalogues
        self._origin = origin
        self._runs = runs
        self._wave_of_zone = wave_of_zone
        self._zones = zones
        self._due_by = due_by
        self._after = 0

    def failed_of(self, wave: Wave) -> int:
        """Return how many accounts of this wave failed."""
        return sum(self._wave_of_zone.get(zone) == wave for zone in self.failed.values())

    async def chunk(self) -> int:
        """Post what is due on the next accounts; how many there were."""
        rows = await self._database.fetch(
            """SELECT id, time_zone FROM accounts
                WHERE due_at <= $4 AND id > $1 AND id <> ALL($5::bigint[])
                  AND ($3::text[] IS NULL OR time_zone = ANY($3) AND day_ends_at <= $4)
                ORDER BY id LIMIT $2""",
            self._after,
            CHUNK_ACCOUNTS,
            self._zones,
            self._due_by,
            list(self.failed),
        )
        if not rows:
            return 0
        try:
            await self._post([row["id"] for row in rows])
        except _AWAY:
            raise
        except Exception:  # whatever it was, it is found out whose it is
            for row in rows:
                await self.post_alone(row["id"], row["time_zone"])
        self._after = rows[-1]["id"]
        return len(rows)

    async def post_alone(self, number: AccountNumber, zone: str) -> int:
        """Post what is due of one account: 1, or 0 where it is locked; a failing one is noted."""
        try:
            return await self._post([number])
        except _AWAY:
            raise
        except Exception:
            log.exception("account_failed", account=number)
            self.failed[number] = zone
            return 1

    async def _post(self, numbers: list[AccountNumber]) -> int:
        began = asyncio.get_running_loop().time()
        async with self._database.transaction():
            rows = await self._database.fetch(
                """SELECT id FROM accounts WHERE id = ANY($1::bigint[])
                      AND due_at <= tallybook_now() ORDER BY id FOR UPDATE SKIP LOCKED""",
                numbers,
            )
            if not rows:
                return 0
            days = await load.lock(self._database, self._catalogues, [row["id"] for row in rows])
            running = {number for number, day in days.items() if day.day is not None}
            for day in days.values():
                day.runs = self._runs
                day.post_due(self._origin)
            ended = [days[number] for number in running if days[number].day is None]
            counts = self._counts(days.values(), ended)
            await store_days(self._database, days.values())
            took_ms = round((asyncio.get_running_loop().time() - began) * 1000)
            # In the order of their waves, as runs are begun: or the two would wait for each other.
            run_ids = [self._runs[wave] for wave in sorted(self._runs)]
            for run_id in (run_id for run_id in run_ids if run_id in counts):
                await run_row.add(self._database, run_id, counts[run_id], took_ms)
                took_ms = 0
        return len(rows)

    def _counts(
        self, days: Iterable[AccountDay], ended: Iterable[AccountDay]
    ) -> dict[RunNumber, Counted]:
        """Return the counts of what is drafted, by run; ``ended`` are closed accounts whose last
        day is over.
        """
        counts: dict[RunNumber, Counted] = defaultdict(Counted)
        for day in days:
            for one in day.opened:
                if one.run_id is not None:
                    counts[one.run_id].open(one.credits)
                    if one.previous_on is not None and not one.after_dormancy:
                        counts[one.run_id].gaps[one.time_zone, one.previous_on] += 1
            for journal, entry in day.sheet.drafted:
                if journal.run_id is not None and entry.kind is Kind.EXPIRY:
                    counts[journal.run_id].expired_credits += entry.amount
        for day in ended:
            wave = self._wave_of_zone.get(day.time_zone)
            if wave is not None and wave in self._runs:
                counts[self._runs[wave]].closed += 1
        return counts
