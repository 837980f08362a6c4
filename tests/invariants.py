"""What must hold of any book at any time, checked from its rows."""

from __future__ import annotations

from app.book import Book
from app.infrastructure.db import Database
from app.verify.verify import verify


async def differences(database: Database) -> list[str]:
    """Where the ledger is not what its entries say, and where the allowance rule does not hold."""
    found = [text for check in await verify(database) for text in check.differences]
    return found + await _allowance_differences(database)


async def _allowance_differences(database: Database) -> list[str]:
    """The running day's lot has max(0, allowance - used) free; used is told by entries alone."""
    _, catalogue = await Book(database).catalogues.present(database)
    credits_of = {tier.name: tier.daily_credits for tier in catalogue.tiers}
    rows = await database.fetch(
        """SELECT accounts.id, accounts.tier, lots.free, lots.held, day_used_brought + coalesce((
                      -- What came with a join and is held counts as held of this lot.
                      SELECT sum(CASE WHEN debit = 'free' OR (debit, credit)
                                           = ('transferred', 'held') THEN amount ELSE 0 END
                               - CASE WHEN credit = 'free' THEN amount ELSE 0 END)
                        FROM entries WHERE lot_id = lots.id AND kind NOT IN ('grant', 'expiry')
                  ), 0) AS used
             FROM accounts JOIN lots ON lots.id = day_lot_id"""
    )
    return [
        f"account {row['id']} on {row['tier']} used {row['used']} and has {row['free']} free"
        for row in rows
        if row["free"] != max(0, credits_of[row["tier"]] - row["used"])
    ]
