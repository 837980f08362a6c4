"""Apply a catalogue: store it, then derive again every subscription that its prices change."""

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
    """Store the catalogue, derive every subscription that is not over, and return the catalogue's
    id.

    Each subscription is a transaction of its own. If the process dies halfway, the next tick does
    the rest. ``by`` is the operator; it is None at a first start.
    """
    async with book.database.transaction():
        number = await catalogues.apply(book.database, content, file, applied_by)
        if by is not None:
            await record(
                book.database, OperatorAct.TIERS_APPLIED, by, subject=f"catalogue {number}"
            )
    await dormancy.wake(book.database)  # the next run decides again who is dormant
    await _derive(book, _ALL, None, Origin("catalogue", applied_by), float("inf"))
    return number


async def catch_up(book: Book, within_s: float) -> None:
    """Derive again the subscriptions that still follow an older catalogue.

    This is needed in two cases: an event's transaction began before ``apply`` and committed after
    it looked for subscriptions; or ``apply`` crashed or found an account busy.
    """
    newest = await book.database.fetchval("SELECT max(id) FROM catalogues")
    await _derive(book, _LAGGING, newest, Origin("catalogue", "tick"), elapsed() + within_s)


_ALL: Final = """
SELECT id, customer_id, catalogue_id FROM subscriptions
 WHERE id > $1 AND state <> 'canceled' ORDER BY id LIMIT $2
"""
# In the order of the index, so that nothing is read if no subscription lags.
_LAGGING: Final = """
SELECT id, customer_id, catalogue_id FROM subscriptions
 WHERE catalogue_id < $3 AND (catalogue_id, id) > ($4, $1) AND state <> 'canceled'
 ORDER BY catalogue_id, id LIMIT $2
"""


async def _derive(
    book: Book, query: str, newest: int | None, origin: Origin, ends_at: float
) -> None:
    """Derive the subscriptions that the query lists, page by page; the next tick repeats failed
    ones.
    """
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
