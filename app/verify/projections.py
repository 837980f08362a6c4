"""The projections of the entries: each table, its columns, and the query that computes them.

What entries do not say is no projection: a lot's source, priority and end, a hold's deadline, an
account's running day.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Projection(msgspec.Struct, frozen=True):
    """A table, its columns that follow from entries, and the query that computes them.

    ``$1`` are the accounts to look at; null means all.
    """

    table: str
    columns: tuple[str, ...]
    says: str


_SIDES: Final = """
    sum(CASE WHEN credit = 'free' THEN amount ELSE 0 END
      - CASE WHEN debit = 'free' THEN amount ELSE 0 END)::bigint AS free,
    sum(CASE WHEN credit = 'held' THEN amount ELSE 0 END
      - CASE WHEN debit = 'held' THEN amount ELSE 0 END)::bigint AS held"""

ACCOUNTS: Final = Projection(
    "accounts",
    ("free", "held", "debt", "last_used_at"),
    f"""WITH summed AS MATERIALIZED (
            SELECT account_id, {_SIDES},
                   sum(CASE WHEN debit = 'debt' THEN amount ELSE 0 END
                     - CASE WHEN credit = 'debt' THEN amount ELSE 0 END)::bigint AS debt,
                   max(recorded_at) FILTER (WHERE kind IN ('spend', 'hold')) AS used_at
              FROM entries
             WHERE $1::bigint[] IS NULL OR account_id = ANY($1)
                OR account_id IN (SELECT id FROM accounts WHERE joined_to = ANY($1))
             GROUP BY account_id
        ), used AS (
            SELECT coalesce(joined_to, accounts.id) AS id, max(used_at) AS at
              FROM summed JOIN accounts ON accounts.id = summed.account_id GROUP BY 1
        )
        SELECT accounts.id, accounts.id AS of_account, coalesce(summed.free, 0) AS free,
               coalesce(summed.held, 0) AS held, coalesce(summed.debt, 0) AS debt,
               -- The use of what was joined to it is its own.
               CASE WHEN joined_to IS NULL THEN used.at END AS last_used_at
          FROM accounts LEFT JOIN summed ON summed.account_id = accounts.id
          LEFT JOIN used ON used.id = accounts.id
         WHERE $1::bigint[] IS NULL OR accounts.id = ANY($1)""",
)
# These kinds grant credits to a lot from outside. What a reversal or a failed refund brings back
# was in the lot before, and is not granted again.
LOTS: Final = Projection(
    "lots",
    ("granted", "lapsed", "moved", "refunded", "free", "held", "live"),
    f"""SELECT lots.id, lots.account_id AS of_account, coalesce(summed.granted, 0) AS granted,
               coalesce(summed.lapsed, 0) AS lapsed, coalesce(summed.moved, 0) AS moved,
               coalesce(summed.refunded, 0) AS refunded,
               coalesce(summed.free, 0) AS free, coalesce(summed.held, 0) AS held,
               coalesce(summed.free + summed.held, 0) > 0
                   OR lots.id IS NOT DISTINCT FROM accounts.day_lot_id
                   OR lots.id IS NOT DISTINCT FROM accounts.day_carried_lot_id AS live
          FROM lots JOIN accounts ON accounts.id = lots.account_id LEFT JOIN (
              SELECT lot_id, {_SIDES},
                     sum(CASE WHEN kind = 'expiry' THEN amount ELSE 0 END)::bigint AS lapsed,
                     sum(CASE WHEN kind = 'transfer' AND 'free' IN (debit, credit)
                              THEN amount ELSE 0 END)::bigint AS moved,
                     sum(CASE WHEN 'debt' IN (debit, credit) THEN 0
                              WHEN credit = 'refunded' THEN amount
                              WHEN debit = 'refunded' THEN -amount ELSE 0 END)::bigint AS refunded,
                     sum(CASE WHEN kind IN ('grant', 'purchase', 'adjustment', 'transfer')
                               AND credit IN ('free', 'held')
                              THEN amount ELSE 0 END)::bigint AS granted
                FROM entries
               WHERE $1::bigint[] IS NULL
                  OR lot_id IN (SELECT id FROM lots WHERE account_id = ANY($1))
               GROUP BY lot_id) AS summed ON summed.lot_id = lots.id
         WHERE $1::bigint[] IS NULL OR lots.account_id = ANY($1)""",
)
# A release by request comes before the deadline; a release by the clock is dated at the deadline.
HOLDS: Final = Projection(
    "holds",
    ("amount", "captured", "state"),
    """SELECT holds.id, holds.account_id AS of_account, summed.amount,
              coalesce(summed.captured, 0) AS captured,
              CASE WHEN summed.closed THEN 'captured'
                   WHEN summed.holds > 0 THEN 'held'
                   -- Parts took all of it: its release, if there was one, gave nothing back.
                   WHEN summed.released_at IS NULL AND holds.state = 'released' THEN 'released'
                   WHEN summed.released_at IS NULL THEN 'captured'
                   WHEN summed.released_at >= holds.expires_at THEN 'expired'
                   ELSE 'released' END AS state
         FROM holds JOIN (
             SELECT hold_id, (sum(amount) FILTER (WHERE entries.kind = 'hold'))::bigint AS amount,
                    (sum(amount) FILTER (WHERE entries.kind = 'spend'))::bigint AS captured,
                    sum(CASE 'held' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END)
                        AS holds,
                    bool_or(journals.kind = 'capture') AS closed,
                    max(entries.effective_at) FILTER (WHERE entries.kind = 'release')
                        AS released_at
               FROM entries JOIN journals ON journals.id = journal_id
              WHERE hold_id IS NOT NULL AND ($1::bigint[] IS NULL
                 OR hold_id IN (SELECT id FROM holds WHERE account_id = ANY($1)))
              GROUP BY hold_id) AS summed ON summed.hold_id = holds.id
        WHERE $1::bigint[] IS NULL OR holds.account_id = ANY($1)""",
)
# What is held of a lot by no hold is frozen, by an open dispute.
BACKINGS: Final = Projection(
    "backings",
    ("frozen",),
    """SELECT backings.id, backings.account_id AS of_account, coalesce(summed.frozen, 0) AS frozen
         FROM backings LEFT JOIN (
             SELECT lot_id, sum(CASE WHEN credit = 'held' THEN amount ELSE 0 END
                              - CASE WHEN debit = 'held' THEN amount ELSE 0 END)::bigint AS frozen
               FROM entries
              WHERE hold_id IS NULL AND lot_id IN (SELECT lot_id FROM backings
                     WHERE $1::bigint[] IS NULL OR account_id = ANY($1))
              GROUP BY lot_id) AS summed ON summed.lot_id = backings.lot_id
        WHERE $1::bigint[] IS NULL OR backings.account_id = ANY($1)""",
)
PROJECTIONS: Final = (ACCOUNTS, LOTS, HOLDS, BACKINGS)


def differing(columns: tuple[str, ...]) -> str:
    """Return the SQL condition for a row that differs from its entries."""
    stands = ", ".join(f"stands.{name}" for name in columns)
    says = ", ".join(f"says.{name}" for name in columns)
    return f"({stands}) IS DISTINCT FROM ({says})"


def differences(projection: Projection, what: str, *columns: str) -> str:
    """Return a query that names the rows whose columns differ from the entries, one text each."""
    told = ", ".join(f"{name.replace('_at', '')} %s" for name in columns)
    said = ", ".join("%s" for _ in columns)
    values = ", ".join(
        [f"stands.{name}" for name in columns] + [f"says.{name}" for name in columns]
    )
    says = projection.says.replace("$1", "(NULL::bigint[])")
    return f"""SELECT format('{what} %s: {told} stand; its entries say {said}', stands.id, {values})
                 FROM {projection.table} AS stands JOIN ({says}) AS says USING (id)
                WHERE {differing(columns)}"""
