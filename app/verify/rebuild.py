"""Rebuild: set accounts, lots, holds and frozen credits to what their entries say.

Entries are the ledger; the rest are projections of them. What entries do not say stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from app.errors import TallybookError
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber
from app.verify.projections import PROJECTIONS, Projection, differing

LOCK_SECONDS_MAX: Final = 60


class EntriesContradictError(TallybookError):
    """The sum of the entries is a value that no projection may have.

    No call over HTTP rebuilds, so this error has no code there.
    """


class Difference(msgspec.Struct, frozen=True):
    """One column of one row: its present value, and the value by its entries."""

    table: str
    row: int
    account_id: AccountNumber
    column: str
    stood: object
    entries_say: object


async def find(database: Database) -> list[Difference]:
    """Return the present differences, from one snapshot; nothing is changed."""
    async with database.snapshot():
        await database.execute("SET LOCAL statement_timeout = 0")
        return await _differences(database, None)


async def rebuild(database: Database) -> list[Difference]:
    """Mend the differences in one transaction, and return them.

    Looks twice: at everything, then again at the accounts that differed once they are locked, so
    that writers of other accounts do not wait. Raises EntriesContradictError.
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
                f"The entries lead to values that are not allowed ({error}); nothing was changed. "
                "`tallybook ledger verify` names them."
            ) from error
    return found


async def _differences(
    database: Database, account_ids: Sequence[AccountNumber] | None
) -> list[Difference]:
    found = []
    for projection in PROJECTIONS:
        said = ", ".join(f"says.{name} AS says_{name}" for name in projection.columns)
        rows = await database.fetch(
            f"""SELECT says.of_account, stands.*, {said}
                  FROM {projection.table} AS stands JOIN ({projection.says}) AS says USING (id)
                 WHERE {differing(projection.columns)} ORDER BY id""",
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


async def _mend(
    database: Database, projection: Projection, account_ids: Sequence[AccountNumber]
) -> None:
    values = ", ".join(f"{name} = says.{name}" for name in projection.columns)
    await database.execute(
        f"""UPDATE {projection.table} AS stands SET {values} FROM ({projection.says}) AS says
             WHERE says.id = stands.id AND {differing(projection.columns)}""",
        account_ids,
    )
