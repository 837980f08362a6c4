"""Rebuild: set accounts, lots, holds and what stands frozen to what their entries say.

Entries are the ledger; the rest are projections of them. What entries do not tell is left alone:
a lot's source, priority and end, a hold's deadline, an account's running day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from app.db import Database, Record
from app.errors import ConflictError

LOCK_SECONDS_MAX: Final = 60


class EntriesContradictError(ConflictError):
    """The entries themselves add up to what no projection may be."""

    code = "entries_contradict"


class Difference(msgspec.Struct, frozen=True):
    """One column of one row, as it stood and as the entries say."""

    table: str
    row: int
    account_id: int
    column: str
    stood: object
    entries_say: object


class Projection(msgspec.Struct, frozen=True):
    """A table, its columns that entries tell, and the query that tells them.

    ``$1`` are the accounts to look at; null looks at all.
    """

    table: str
    columns: tuple[str, ...]
    says: str


_SIDES: Final = """
    sum(CASE WHEN credit = 'free' THEN amount ELSE 0 END
      - CASE WHEN debit = 'free' THEN amount ELSE 0 END)::bigint AS free,
    sum(CASE WHEN credit = 'held' THEN amount ELSE 0 END
      - CASE WHEN debit = 'held' THEN amount ELSE 0 END)::bigint AS held"""

_ACCOUNTS: Final = Projection(
    "accounts",
    ("free", "held", "debt"),
    f"""SELECT accounts.id, accounts.id AS of_account, coalesce(summed.free, 0) AS free,
               coalesce(summed.held, 0) AS held, coalesce(summed.debt, 0) AS debt
          FROM accounts LEFT JOIN (
              SELECT account_id, {_SIDES},
                     sum(CASE WHEN debit = 'debt' THEN amount ELSE 0 END
                       - CASE WHEN credit = 'debt' THEN amount ELSE 0 END)::bigint AS debt
                FROM entries WHERE $1::bigint[] IS NULL OR account_id = ANY($1)
               GROUP BY account_id) AS summed ON summed.account_id = accounts.id
         WHERE $1::bigint[] IS NULL OR accounts.id = ANY($1)""",
)
# What a lot was granted is what these kinds brought into it from outside. What a reversal or a
# failed refund brings back was in it before, and is not granted again.
LOTS: Final = Projection(
    "lots",
    ("granted", "lapsed", "free", "held", "live"),
    f"""SELECT lots.id, lots.account_id AS of_account, coalesce(summed.granted, 0) AS granted,
               coalesce(summed.lapsed, 0) AS lapsed, coalesce(summed.free, 0) AS free,
               coalesce(summed.held, 0) AS held,
               coalesce(summed.free + summed.held, 0) > 0
                   OR lots.id IS NOT DISTINCT FROM accounts.day_lot_id AS live
          FROM lots JOIN accounts ON accounts.id = lots.account_id LEFT JOIN (
              SELECT lot_id, {_SIDES},
                     sum(CASE WHEN kind = 'expiry' THEN amount ELSE 0 END)::bigint AS lapsed,
                     sum(CASE WHEN kind IN ('grant', 'purchase', 'adjustment', 'transfer')
                               AND credit IN ('free', 'held')
                              THEN amount ELSE 0 END)::bigint AS granted
                FROM entries
               WHERE $1::bigint[] IS NULL
                  OR lot_id IN (SELECT id FROM lots WHERE account_id = ANY($1))
               GROUP BY lot_id) AS summed ON summed.lot_id = lots.id
         WHERE $1::bigint[] IS NULL OR lots.account_id = ANY($1)""",
)
# A release by request comes before the deadline, one by the clock is dated at it.
_HOLDS: Final = Projection(
    "holds",
    ("amount", "captured", "state"),
    """SELECT holds.id, holds.account_id AS of_account, summed.amount,
              coalesce(summed.captured, 0) AS captured,
              CASE WHEN summed.captured > 0 THEN 'captured'
                   WHEN summed.released_at IS NULL THEN 'held'
                   WHEN summed.released_at >= holds.expires_at THEN 'expired'
                   ELSE 'released' END AS state
         FROM holds JOIN (
             SELECT hold_id, (sum(amount) FILTER (WHERE kind = 'hold'))::bigint AS amount,
                    (sum(amount) FILTER (WHERE kind = 'spend'))::bigint AS captured,
                    max(effective_at) FILTER (WHERE kind = 'release') AS released_at
               FROM entries
              WHERE hold_id IS NOT NULL AND ($1::bigint[] IS NULL
                 OR hold_id IN (SELECT id FROM holds WHERE account_id = ANY($1)))
              GROUP BY hold_id) AS summed ON summed.hold_id = holds.id
        WHERE $1::bigint[] IS NULL OR holds.account_id = ANY($1)""",
)
# What is held of a lot by no hold stands frozen: an open dispute's.
_BACKINGS: Final = Projection(
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
PROJECTIONS: Final = (_ACCOUNTS, LOTS, _HOLDS, _BACKINGS)


async def find(database: Database) -> list[Difference]:
    """What differs now, over one snapshot; nothing is changed."""
    async with database.snapshot():
        await database.execute("SET LOCAL statement_timeout = 0")
        return await _differences(database, None)


async def rebuild(database: Database) -> list[Difference]:
    """Mend what differs, in one transaction; what differed.

    Looks twice: at everything, and again at the accounts that differed once they are locked, so
    that whoever writes elsewhere is not kept waiting. Raises EntriesContradictError.
    """
    async with database.transaction():
        await database.execute("SET LOCAL statement_timeout = 0")
        await database.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s'")
        suspects = sorted({one.account_id for one in await _differences(database, None)})
        if not suspects:
            return []
        await database.fetch(
            "SELECT id FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", suspects
        )
        found = await _differences(database, suspects)
        try:
            for projection in PROJECTIONS:
                await _mend(database, projection, suspects)
        except asyncpg.CheckViolationError as error:
            raise EntriesContradictError(
                f"The entries contradict what may be ({error}); nothing was changed. "
                "`tallybook ledger verify` names them."
            ) from error
    return found


async def _differences(database: Database, account_ids: Sequence[int] | None) -> list[Difference]:
    found = []
    for projection in PROJECTIONS:
        said = ", ".join(f"says.{name} AS says_{name}" for name in projection.columns)
        rows = await database.fetch(
            f"""SELECT says.of_account, stands.*, {said}
                  FROM {projection.table} AS stands JOIN ({projection.says}) AS says USING (id)
                 WHERE {_differs(projection)} ORDER BY id""",
            account_ids,
        )
        found += [one for row in rows for one in _of_row(projection, row)]
    return found


def _of_row(projection: Projection, row: Record) -> list[Difference]:
    return [
        Difference(
            projection.table, row["id"], row["of_account"], name, row[name], row[f"says_{name}"]
        )
        for name in projection.columns
        if row[name] != row[f"says_{name}"]
    ]


async def _mend(database: Database, projection: Projection, account_ids: Sequence[int]) -> None:
    values = ", ".join(f"{name} = says.{name}" for name in projection.columns)
    await database.execute(
        f"""UPDATE {projection.table} AS stands SET {values} FROM ({projection.says}) AS says
             WHERE says.id = stands.id AND {_differs(projection)}""",
        account_ids,
    )


def _differs(projection: Projection) -> str:
    columns = projection.columns
    stands = ", ".join(f"stands.{name}" for name in columns)
    says = ", ".join(f"says.{name}" for name in columns)
    return f"({stands}) IS DISTINCT FROM ({says})"
