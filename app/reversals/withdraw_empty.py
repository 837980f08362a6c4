"""Withdraw the days that a run opened with nothing: no entry shows them, so none is negated.

Such a day is one of a tier without daily credits, or one opened again whose allowance was used. It
is withdrawn like the run's other days: what the tier gives later is not for this day, and the run
may open it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import TallybookError
from app.infrastructure.db import Record
from app.infrastructure.ids import AccountNumber

log = structlog.get_logger(__name__)

# What a chunk looks at, and how many of those that have something it takes one by one.
CHUNK_ACCOUNTS: Final = 2_000
SINGLE_ACCOUNTS: Final = 100

# $1 the run: who stands on a day that it opened with nothing.
_EMPTY: Final = """
  FROM daily_grants JOIN accounts ON accounts.id = daily_grants.account_id
  JOIN lots ON lots.id = daily_grants.lot_id
 WHERE daily_grants.run_id = $1 AND daily_grants.credits = 0
   AND accounts.day_lot_id = daily_grants.lot_id AND NOT accounts.day_withdrawn
   AND accounts.closed_at IS NULL AND accounts.day_ends_at > tallybook_now()
"""


async def chunk(book: Book, run_reversal: Record, after: int) -> int | None:
    """Withdraw the next ones, by account; return the last of them, None if none is left.

    Call it in a transaction.
    """
    database, run_id = book.database, run_reversal["of_run_id"]
    rows = await database.fetch(
        f"""SELECT accounts.id, lots.free {_EMPTY} AND daily_grants.account_id > $2
             ORDER BY daily_grants.account_id LIMIT $3""",
        run_id,
        after,
        CHUNK_ACCOUNTS,
    )
    topped_up = [row["id"] for row in rows if row["free"]][:SINGLE_ACCOUNTS]
    if len(topped_up) == SINGLE_ACCOUNTS:
        rows = [row for row in rows if row["id"] <= topped_up[-1]]
    if not rows:
        return None
    await database.fetch(
        "SELECT FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
        [row["id"] for row in rows],
    )
    await database.execute(
        f"""UPDATE accounts SET day_withdrawn = true WHERE id IN (
                SELECT accounts.id {_EMPTY} AND accounts.id = ANY($2::bigint[]) AND lots.free = 0)
        """,
        run_id,
        [row["id"] for row in rows],
    )
    still = await database.fetch(
        f"SELECT accounts.id {_EMPTY} AND accounts.id = ANY($2::bigint[]) ORDER BY accounts.id",
        run_id,
        [row["id"] for row in rows],
    )
    await _one_by_one(book, [row["id"] for row in still], run_reversal["actor"])
    return int(rows[-1]["id"])


async def _one_by_one(book: Book, numbers: Sequence[AccountNumber], actor: str) -> None:
    """Withdraw those that were topped up later: the rest of the top-up is removed."""
    if not numbers:
        return
    days = await load.lock(book.database, book.catalogues, numbers)
    for day in days.values():
        try:
            async with book.database.transaction():  # a savepoint: one costs no other anything
                await _withdraw(book, day, actor)
        except (asyncpg.IntegrityConstraintViolationError, TallybookError):
            log.exception("account_not_reversed", account=day.sheet.account_id)


async def _withdraw(book: Book, day: AccountDay, actor: str) -> None:
    lot = day.lot
    day.post_due(Origin("due", actor))
    if day.lot is lot:
        day.withdrawn = day.changed = True
        day.settle(day.now, Origin("api", actor))
    await store_days(book.database, [day])
