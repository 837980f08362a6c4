"""Apply a catalogue and derive again what its new prices change, at once."""

from __future__ import annotations

from app.accounts.book import Book
from app.accounts.subscribe import rederive
from app.grants import catalogues, dormancy
from app.grants.day import Origin
from app.operator_acts import Operator, OperatorAct, record

PAGE_SIZE: int = 500


async def apply(
    book: Book, content: str, file: str, applied_by: str, by: Operator | None = None
) -> int:
    """Store the catalogue, then derive every subscription that is not over; returns its id.

    Each subscription is a transaction of its own: a crash leaves the rest to the next apply.
    ``by`` is the operator, None at a first start.
    """
    async with book.database.transaction():
        number = await catalogues.apply(book.database, content, file, applied_by)
        if by is not None:
            await record(
                book.database, OperatorAct.TIERS_APPLIED, by, subject=f"catalogue {number}"
            )
    await dormancy.wake(book.database)  # the next run says anew who is dormant
    origin = Origin("catalogue", applied_by)
    after = ""
    while True:
        rows = await book.database.fetch(
            """SELECT id, customer_id FROM subscriptions
                WHERE id > $1 AND state <> 'canceled' ORDER BY id LIMIT $2""",
            after, PAGE_SIZE,
        )  # fmt: skip
        for row in rows:
            async with book.database.transaction():
                await rederive(book, row["id"], row["customer_id"], origin)
        if len(rows) < PAGE_SIZE:
            return number
        after = rows[-1]["id"]
