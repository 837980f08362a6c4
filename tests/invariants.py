"""What must hold of any book at any time, checked from its rows."""

from __future__ import annotations

from app.book import Book
from app.infrastructure.db import Database, Record
from app.verify.verify import verify

USED = """
SELECT accounts.id, accounts.tier, day_starts_at, lots.free, lots.held, coalesce((
           SELECT sum(amount) FROM brought_use
            WHERE account_id = accounts.id AND until_at > day_starts_at), 0) + coalesce((
           -- What came with a join and is held counts as held of this lot.
           SELECT sum(CASE WHEN debit = 'free' OR (debit, credit) = ('transferred', 'held')
                           THEN amount ELSE 0 END
                    - CASE WHEN credit = 'free' THEN amount ELSE 0 END)
             FROM entries WHERE lot_id = lots.id AND kind NOT IN ('grant', 'expiry')
       ), 0) AS used
  FROM accounts JOIN lots ON lots.id = day_lot_id WHERE closed_at IS NULL
"""
# What each subscription gives, and what was used with it elsewhere.
MOVED = """
SELECT subscriptions.account_id, coalesce(subscriptions.tier, grace_tier) AS tier, coalesce((
           SELECT sum(amount) FROM moved_use JOIN accounts AS source ON source.id = from_account_id
            WHERE subscription_id = subscriptions.id AND until_at > accounts.day_starts_at
              AND coalesce(source.joined_to, source.id) <> accounts.id), 0) AS used
  FROM subscriptions JOIN accounts ON accounts.id = account_id
 WHERE subscriptions.tier IS NOT NULL OR grace_ends_at > tallybook_now()
"""

# Written by hand from Stripe's list of statuses.
STATES = {
    "incomplete": "created",
    "trialing": "active",
    "active": "active",
    "past_due": "past_due",
    "unpaid": "past_due",
    "paused": "past_due",
    "canceled": "canceled",
    "incomplete_expired": "canceled",
}


async def differences(database: Database) -> list[str]:
    """Violations: of the ledger by its entries, the allowance rule, states by Stripe's statuses."""
    found = [text for check in await verify(database) for text in check.differences]
    return [*found, *await _allowance_differences(database), *await _state_differences(database)]


async def _state_differences(database: Database) -> list[str]:
    """Our state is what Stripe's status maps to, but for active and past due by an invoice.

    A customer's deletion ends its subscriptions, whatever their status was.
    """
    rows = await database.fetch(
        """SELECT subscriptions.*, deleted_at, (
                  SELECT trigger FROM transitions WHERE subscription_id = subscriptions.id
                   ORDER BY transitions.id DESC LIMIT 1) AS trigger
             FROM subscriptions JOIN customers ON customers.id = customer_id
            WHERE status IS NOT NULL"""
    )
    return [
        f"{row['id']} is {row['state']} by {row['trigger']} while Stripe says {row['status']}"
        for row in rows
        if row["state"] != STATES[row["status"]]
        and not (row["state"] == "canceled" and row["deleted_at"] is not None)
        and (row["status"], row["state"], row["trigger"])
        not in (
            ("active", "past_due", "payment_failed"),
            ("past_due", "active", "payment_succeeded"),
        )
    ]


async def _allowance_differences(database: Database) -> list[str]:
    """The running day's lot has max(0, allowance - used) free; used is told by entries alone.

    A subscription that moved here lowers only what it adds.
    """
    _, catalogue = await Book(database).catalogues.present(database)
    credits_of = {tier.name: tier.daily_credits for tier in catalogue.tiers}
    moved = await database.fetch(MOVED)
    found = []
    for row in await database.fetch(USED):
        gives = [one for one in moved if one["account_id"] == row["id"]]
        if not any(one["used"] for one in gives):
            gives = []  # else what a closed account or an old tier has is told by its subscriptions
        rule = _rule(row, gives, credits_of)
        if row["free"] != rule:
            found.append(
                f"account {row['id']} on {row['tier']} used {row['used']}: {row['free']} free,"
                f" not {rule}; {[dict(one) for one in gives]}"
            )
    return found


def _rule(row: Record, gives: list[Record], credits_of: dict[str, int]) -> int:
    if not gives:
        return max(0, credits_of[row["tier"]] - int(row["used"]))
    # In turn as if each subscription alone had come along with its use.
    own = [credits_of[one["tier"]] for one in gives if not one["used"]] + [credits_of["FREE"]]
    best = max(own) - row["used"]
    for one in gives:
        best = max(best, max(*own, credits_of[one["tier"]]) - row["used"] - one["used"])
    return max(0, int(best))
