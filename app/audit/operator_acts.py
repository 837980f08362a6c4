"""What auditors read of the operators' acts: who did what to which account or thing, and why."""

from __future__ import annotations

from app.audit import cursor as cursors
from app.audit.life_cycle import Page
from app.infrastructure.db import Database


async def acts(database: Database, act: str | None, cursor: str | None, limit: int) -> Page:
    """One page by id, oldest first; the account stands under its present public id.

    The reason of an act that made a journal is the journal's. Raises InvalidCursorError.
    """
    query = ("operator_acts", act)
    last_id = 0 if cursor is None else cursors.decode_number(cursor, query)
    rows = await database.fetch(
        """SELECT operator_acts.*, coalesce(operator_acts.reason, notes.reason) AS told_reason,
                  coalesce(present.external_id,
                      (SELECT customers.id FROM customers WHERE customers.account_id = present.id
                        ORDER BY rank, tied_at DESC, customers.id LIMIT 1)) AS public_account_id
             FROM operator_acts LEFT JOIN notes ON notes.journal_id = operator_acts.journal_id
             LEFT JOIN accounts AS owner ON owner.id = operator_acts.account_id
             LEFT JOIN accounts AS present ON present.id = coalesce(owner.joined_to, owner.id)
            WHERE operator_acts.id > $1 AND ($2::text IS NULL OR act = $2)
            ORDER BY operator_acts.id LIMIT $3""",
        last_id,
        act,
        limit + 1,
    )
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], cursors.encode(str(rows[limit - 1]["id"]), query))
