"""Erase the free text behind an account's journals; the ledger itself stands.

The application's role may not do this: it takes the schema's owner.
"""

from __future__ import annotations

from app.infrastructure.db import Database


async def erase_notes(database: Database, account_id: int) -> int:
    """Erase reasons and metadata of the account, and of those joined to it; of how many journals.

    The stored answers stay: a retry under an old idempotency key must get the first answer.
    """
    erased: int = await database.fetchval(
        """WITH owners AS (
               SELECT id FROM accounts WHERE id = $1 OR joined_to = $1
           ), of_reversals AS (
               UPDATE reversals SET reason = 'erased' WHERE account_id IN (SELECT id FROM owners)
           ), of_journals AS (
               UPDATE notes SET reason = NULL, metadata = NULL
                WHERE num_nonnulls(reason, metadata) > 0 AND journal_id IN (
                    SELECT journal_id FROM entries WHERE account_id IN (SELECT id FROM owners))
               RETURNING 1)
           SELECT count(*) FROM of_journals""",
        account_id,
    )
    return erased
