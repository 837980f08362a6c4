"""One journal for auditors: who, why, when, source, and its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.audit import entries
from app.errors import JournalUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import JournalNumber

if TYPE_CHECKING:
    from app.audit import row_types


_SQL: Final[row_types.JournalsSql] = sql.beside(__file__)


async def find(
    database: Database, number: JournalNumber | None, public_id: str
) -> tuple[row_types.JournalsJournal, list[row_types.EntriesOfJournal]]:
    """Return the journal's row and its entries; raise JournalUnknownError if there is none."""
    row = None
    if number is not None:
        row = await database.fetchrow(_SQL["journal"](id=number))
    if row is None or number is None:
        raise JournalUnknownError(f"There is no journal {public_id!r}.", journal_id=public_id)
    return row, await entries.of_journal(database, number)
