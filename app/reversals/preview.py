"""A dry run of a run's reversal: the totals that it would have now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.book import Book
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import RunNumber
from app.ledger.clawbacks import Policy
from app.reversals.record import ReversalOrder, Reversed

if TYPE_CHECKING:
    from app.reversals import row_types


_SQL: Final[row_types.PreviewSql] = sql.beside(__file__)


async def preview(book: Book, run_id: RunNumber, order: ReversalOrder) -> Reversed:
    """Return the totals; nothing is locked and nothing changes."""
    total = await book.database.fetchrow(_SQL["total"](run_id=run_id))
    assert total is not None
    rejected = total["short"] if order.policy is Policy.REJECT else 0
    taken = total["clawed"] + total["held"] + total["expired"]
    return Reversed(
        number=None,
        journal_id=None,
        of_journal_id=None,
        of_run_id=run_id,
        policy=str(order.policy),
        state="done",
        requested=total["requested"],
        clawed=total["clawed"],
        held=total["held"],
        expired=total["expired"],
        shortfall=total["requested"] - taken,
        journal_count=total["journal_count"] - rejected,
        skipped=rejected,
        dry_run=True,
    )


async def by_account(
    database: Database, run_id: RunNumber, *, short: bool, after: int, limit: int
) -> list[Record]:
    """Return what was taken back of each account's opening, or would be now, after this journal.

    With ``short`` only the accounts with a shortfall.
    """
    return await database.fetch(
        _SQL["by_account"](run_id=run_id, short=short, after=after, limit=limit)
    )
