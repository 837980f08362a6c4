"""One journal: who, why, when, source, and its entries."""

from __future__ import annotations

from app.audit import entries
from app.errors import JournalUnknownError
from app.infrastructure.db import Database, Record


async def find(
    database: Database, number: int | None, public_id: str
) -> tuple[Record, list[Record]]:
    """The journal's row and its entries; JournalUnknownError without one."""
    row = number and await database.fetchrow(
        """SELECT journals.*, notes.reason, notes.metadata::text AS metadata
             FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
            WHERE journals.id = $1""",
        number,
    )
    if not row or number is None:
        raise JournalUnknownError(f"There is no journal {public_id!r}.", journal_id=public_id)
    return row, await entries.of_journal(database, number)
