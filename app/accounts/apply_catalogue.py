"""Apply a catalogue and derive again what its new prices change, at once."""

from __future__ import annotations

from typing import Final

import asyncpg
import structlog

from app.accounts.subscribe import rederive
from app.allowance import catalogues
from app.allowance.origin import Origin
from app.book import Book
from app.errors import TallybookError
from app.infrastructure.clock import elapsed
from app.operators.acts import Operator, OperatorAct, record
from app.runs import dormancy

log = structlog.get_logger(__name__)

PAGE_SIZE: Final = 500


async def apply(
    book: Book, content: str, file: str, applied_by: str, by: Operator | None = None
) -> int:
    """Store the catalogue, then derive every subscription that is not over; returns its id.

    Each subscription is a transaction of its own: what a crash leaves, the next tick catches up
    with. ``by`` is the operator, None at a first start.
    """
    async with book.database.transaction():
        number = await catalogues.apply(book.database, content, file, applied_by)
        if by is not None:
            await record(
                book.database, OperatorAct.TIERS_APPLIED, by, subject=f"catalogue {number}"
            )
    await dormancy.wake(book.database)  # the next run says anew who is dormant
    await _derive(book, _ALL, None, Origin("catalogue", applied_by), float("inf"))
    return number


async def catch_up(book: Book, within_s: float) -> None:
    """Derive again what an older catalogue derived than the one in force.

    An event's transaction may begin before a catalogue is applied and commit after ``apply`` has
    looked for subscriptions; and an apply may crash, or find an account that is busy.
    """
    newest = await book.database.fetchval("SELECT max(id) FROM catalogues")
    await _derive(book, _LAGGING, newest, Origin("catalogue", "tick"), elapsed() + within_s)


_ALL: Final = """
SELECT id, customer_id, catalogue_id FROM subscriptions
 WHERE id > $1 AND state <> 'canceled' ORDER BY id LIMIT $2
"""
# In the order of the index: nothing is read where none lags.
_LAGGING: Final = """
SELECT id, customer_id, catalogue_id FROM subscriptions
 WHERE catalogue_id < $3 AND (catalogue_id, id) > ($4, $1) AND state <> 'canceled'
 ORDER BY catalogue_id, id LIMIT $2
"""


async def _derive(
    book: Book, query: str, newest: int | None, origin: Origin, ends_at: float
) -> None:
    """Those that the query lists, page by page; one that fails is left to the next tick."""
    after, after_catalogue = "", 0
    while True:
        more = () if newest is None else (newest, after_catalogue)
        rows = await book.database.fetch(query, after, PAGE_SIZE, *more)
        for row in rows:
            if elapsed() >= ends_at:
                return
            try:
                async with book.database.transaction():
                    await rederive(book, row["id"], row["customer_id"], origin)
            except (TallybookError, asyncpg.PostgresError):
                log.exception("subscription_not_derived", subscription_id=row["id"])
        if len(rows) < PAGE_SIZE:
            return
        after, after_catalogue = rows[-1]["id"], rows[-1]["catalogue_id"]
