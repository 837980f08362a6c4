"""Run a reversed run again: on the same day, in resumable chunks, once.

It opens again the days that the reversal withdrew and that have not ended. Accounts that the
reversal skipped keep what they had. The second run is a run of its own, which can be reversed in
turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg
import structlog

from app.accounts.day_use import keep_use
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.load_more import load_clawbacks
from app.allowance.origin import Origin
from app.allowance.reopen import reopen
from app.allowance.store import store_days
from app.book import Book
from app.errors import RunDateError, RunNotReversedError, TallybookError
from app.infrastructure.clock import elapsed
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, RunNumber
from app.ledger import post
from app.operators.acts import Operator, OperatorAct, record
from app.runs import run_row
from app.runs.run import Ticked
from app.runs.run_row import Counted

log = structlog.get_logger(__name__)

CHUNK_ACCOUNTS: Final = 200

# The newest run of each wave of a date, and how far its reversal has come.
_LATEST: Final = """
SELECT DISTINCT ON (wave_at) runs.*, reversals.state AS reversal_state,
       EXISTS (SELECT FROM daily_grants WHERE run_id = runs.id AND day_on = runs.day_on
                  AND starts_at = wave_at AND ends_at > tallybook_now()) AS lasts
  FROM runs LEFT JOIN reversals ON of_run_id = runs.id
 WHERE day_on = $1 ORDER BY wave_at, opening DESC
"""

# $1 the run that is taken back; an account's day that was withdrawn with it and still lasts. One
# that was opened with nothing has no part in the reversal: no entry of it was negated.
_WITHDRAWN: Final = """
  FROM runs JOIN reversals AS whole ON whole.of_run_id = runs.id
  JOIN accounts ON accounts.day_on = runs.day_on AND accounts.day_opening = runs.opening
  JOIN daily_grants ON daily_grants.account_id = accounts.id
   AND daily_grants.day_on = accounts.day_on AND daily_grants.opening = accounts.day_opening
 WHERE runs.id = $1 AND daily_grants.run_id = runs.id
   AND accounts.day_withdrawn AND accounts.closed_at IS NULL
   AND accounts.day_ends_at > tallybook_now()
   AND (daily_grants.credits = 0 OR EXISTS (
       SELECT FROM reversals AS part
        WHERE part.lot_id = accounts.day_lot_id AND part.part_of = whole.id))
"""


async def run_again(
    book: Book, on: date, started_by: str, within_s: float, by: Operator | None = None
) -> Ticked:
    """Run the date's reversed runs again; the tick continues with what is left.

    A second call returns the runs of the first. Raises RunNotReversedError if none was reversed
    completely, RunDateError if the days of the reversed ones are over.
    """
    latest = await book.database.fetch(_LATEST, on)
    reversed_ = [row for row in latest if row["reversal_state"] == "done" and row["lasts"]]
    again = [row["id"] for row in latest if row["opening"] > 1 and row["reversal_state"] is None]
    if not reversed_ and not again:
        raise _refusal(on, latest)
    again += [await _begin(book, row, started_by, by) for row in reversed_]
    ends_at = elapsed() + within_s
    done = [await go_on(book, run_id, ends_at - elapsed()) for run_id in again]
    return Ticked(sorted(again), all(done))


def _refusal(on: date, latest: Sequence[Record]) -> TallybookError:
    states = {row["reversal_state"] for row in latest}
    if "going" in states:
        return RunNotReversedError(f"The reversal of {on} is going on; ask again when it is done.")
    if "done" in states:
        return RunDateError(
            f"{on} is over for all whose run was taken back, and a past day is never opened.",
            on=str(on),
        )
    return RunNotReversedError(f"No run of {on} was taken back; reverse it first.")


async def _begin(book: Book, taken_back: Record, started_by: str, by: Operator | None) -> RunNumber:
    """Return the run's row; another call may have made it first."""
    catalogue_id, _ = await book.catalogues.present(book.database)
    wave = (taken_back["day_on"], taken_back["wave_at"], taken_back["opening"] + 1)
    async with book.database.transaction():
        number: RunNumber | None = await book.database.fetchval(
            f"""INSERT INTO runs (day_on, wave_at, opening, catalogue_id, state, started_by,
                                  started_at, expected)
                SELECT $2, $3, $4, $5, 'going', $6, tallybook_now(),
                       (SELECT count(*) {_WITHDRAWN})
                ON CONFLICT (day_on, wave_at, opening) DO NOTHING RETURNING id""",
            taken_back["id"],
            *wave,
            catalogue_id,
            started_by,
        )
        if number is not None:
            if by is not None:
                await record(book.database, OperatorAct.RUN, by, run_id=number)
            return number
    first: RunNumber = await book.database.fetchval(
        "SELECT id FROM runs WHERE day_on = $1 AND wave_at = $2 AND opening = $3", *wave
    )
    return first


async def resume(book: Book, within_s: float) -> None:
    """Continue the unfinished ones."""
    rows = await book.database.fetch(
        "SELECT id FROM runs WHERE state = 'going' AND opening > 1 ORDER BY id"
    )
    for row in rows:
        await go_on(book, row["id"], within_s)


async def go_on(book: Book, run_id: RunNumber, within_s: float) -> bool:
    """Open day after day again, a chunk in each transaction; return whether it is done."""
    ends_at = elapsed() + within_s
    run = await book.database.fetchrow(
        """SELECT again.*, taken_back.id AS taken_back_id FROM runs AS again
             JOIN runs AS taken_back ON taken_back.day_on = again.day_on
              AND taken_back.wave_at = again.wave_at AND taken_back.opening = again.opening - 1
            WHERE again.id = $1""",
        run_id,
    )
    assert run is not None
    if run["state"] == "done":
        return True
    passing = _Passing(book, run)
    while elapsed() < ends_at:
        if not await passing.chunk():
            await _finish(book.database, run_id, passing.failed)
            return True
    return False


class _Passing:
    """Goes through the withdrawn accounts in order, past one that fails."""

    def __init__(self, book: Book, run: Record) -> None:
        self.failed = 0
        self._book = book
        self._run = run
        self._origin = Origin("grants", run["started_by"], run_id=run["id"])
        self._after = 0

    async def chunk(self) -> int:
        """Open the days of the next accounts again; return how many there were."""
        rows = await self._book.database.fetch(
            f"SELECT accounts.id {_WITHDRAWN} AND accounts.id > $2 ORDER BY accounts.id LIMIT $3",
            self._run["taken_back_id"],
            self._after,
            CHUNK_ACCOUNTS,
        )
        if not rows:
            return 0
        numbers = [row["id"] for row in rows]
        try:
            await self._open(numbers)
        except (asyncpg.IntegrityConstraintViolationError, TallybookError):
            for number in numbers:
                await self._open_alone(number)
        self._after = numbers[-1]
        return len(numbers)

    async def _open_alone(self, number: AccountNumber) -> None:
        try:
            await self._open([number])
        except (asyncpg.IntegrityConstraintViolationError, TallybookError):
            log.exception("account_failed", account=number)
            self.failed += 1

    async def _open(self, numbers: Sequence[AccountNumber]) -> None:
        began = elapsed()
        database = self._book.database
        async with database.transaction():
            locked = await load.lock(database, self._book.catalogues, numbers)
            for day in locked.values():
                day.post_due(self._origin_of_due)
            days = {number: day for number, day in locked.items() if self._is_withdrawn(day)}
            await self._load_earlier(days)
            await load_clawbacks(database, days.values())
            counted = Counted()
            used = {number: reopen(day, self._origin) for number, day in days.items()}
            for day in days.values():
                counted.open(day.opened[-1].credits)
            await keep_use(database, list(days.values()), used)
            await store_days(database, locked.values())
            took_ms = round((elapsed() - began) * 1000)
            await run_row.add(database, self._run["id"], counted, took_ms)

    async def _load_earlier(self, days: Mapping[AccountNumber, AccountDay]) -> None:
        """Load the lots of openings before the withdrawn one."""
        if self._run["opening"] == 2:
            return
        rows = await self._book.database.fetch(
            """SELECT account_id, lot_id FROM daily_grants
                WHERE account_id = ANY($1::bigint[]) AND day_on = $2""",
            list(days),
            self._run["day_on"],
        )
        for number, day in days.items():
            lots = [row["lot_id"] for row in rows if row["account_id"] == number]
            await post.load_lots(self._book.database, day.sheet, lots)

    @property
    def _origin_of_due(self) -> Origin:
        return Origin("due", self._run["started_by"])

    def _is_withdrawn(self, day: AccountDay) -> bool:
        """Return whether the day is still withdrawn under its lock: another call may have come
        first.
        """
        return (
            day.withdrawn
            and not day.closed
            and day.day is not None
            and day.day.on == self._run["day_on"]
            and day.opening == self._run["opening"] - 1
        )


async def _finish(database: Database, run_id: RunNumber, failed: int) -> None:
    await database.execute(
        """UPDATE runs SET state = 'done', finished_at = tallybook_now(), failed = $2,
                  skipped_day_over = greatest(0, expected - issued - $2),
                  skipped = skipped_by_use + skipped_closed + skipped_dormant
                          + greatest(0, expected - issued - $2)
            WHERE id = $1 AND state = 'going'""",
        run_id,
        failed,
    )
