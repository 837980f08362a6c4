"""Accounts that nobody uses: a run skips them, and their next use opens their day.

Where the catalogue says ``dormant_after_days``. A dormant account's ``due_at`` lies past its day's
end, so that no tick looks at it again; whoever reads or uses it finds its day's end all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from app.allowance.catalogues import Catalogues
from app.infrastructure.clock import NEVER
from app.infrastructure.db import Database

CHUNK_ACCOUNTS: Final = 5_000


def used_since(starts_at: datetime, dormant_after_days: int | None) -> datetime | None:
    """An account not used after this instant is dormant on the day; None where none ever is."""
    return None if dormant_after_days is None else starts_at - timedelta(days=dormant_after_days)


def is_dormant(last_used_at: datetime | None, opened_at: datetime, since: datetime | None) -> bool:
    """Whether a run skips the account; ``opened_at`` counts as a use."""
    return since is not None and (last_used_at or opened_at) <= since


# What lapses or falls due of a dormant account beside its day still has the tick look at it.
_SKIP: Final = """
WITH idle AS MATERIALIZED (
    SELECT id, day_ends_at FROM accounts
     WHERE due_at <= $1 AND due_at = day_ends_at AND time_zone = $2 AND closed_at IS NULL
       AND held = 0 AND coalesce(last_used_at, opened_at) <= $3
     ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE accounts SET due_at = coalesce(
       (SELECT min(expires_at) FROM lots WHERE account_id = accounts.id AND live AND free > 0
           AND expires_at > idle.day_ends_at), $5)
  FROM idle WHERE accounts.id = idle.id
"""


async def skip(database: Database, time_zone: str, starts_at: datetime, since: datetime) -> int:
    """Skip the next accounts of the zone that are dormant on its day; how many there were."""
    tag = await database.execute(_SKIP, starts_at, time_zone, since, CHUNK_ACCOUNTS, NEVER)
    return int(tag.rpartition(" ")[2])


async def wake(database: Database) -> None:
    """Let every dormant account be due again: the catalogue says otherwise now."""
    while True:
        tag = await database.execute(
            """UPDATE accounts SET due_at = day_ends_at WHERE id IN (
                   SELECT id FROM accounts WHERE due_at > day_ends_at AND closed_at IS NULL
                    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)""",
            CHUNK_ACCOUNTS,
        )
        if tag == "UPDATE 0":
            return


async def rouse(database: Database, catalogues: Catalogues) -> None:
    """Wake whom ``wake`` has missed: an account that was locked then, or skipped just after."""
    _, catalogue = await catalogues.present(database)
    if catalogue.dormant_after_days is None and await zones(database):
        await wake(database)


async def zones(database: Database) -> list[str]:
    """The zones with dormant accounts, by one look into the index for each."""
    rows = await database.fetch(
        """WITH RECURSIVE zone AS (
               SELECT (SELECT min(time_zone) FROM accounts
                        WHERE due_at > day_ends_at AND closed_at IS NULL) AS name
               UNION ALL
               SELECT (SELECT min(time_zone) FROM accounts
                        WHERE due_at > day_ends_at AND closed_at IS NULL AND time_zone > zone.name)
                 FROM zone WHERE zone.name IS NOT NULL)
           SELECT name FROM zone WHERE name IS NOT NULL"""
    )
    return [row["name"] for row in rows]


async def count(database: Database, zone_names: list[str]) -> int:
    """How many accounts are dormant in these zones."""
    number: int = await database.fetchval(
        """SELECT count(*) FROM accounts
            WHERE due_at > day_ends_at AND closed_at IS NULL AND time_zone = ANY($1::text[])""",
        zone_names,
    )
    return number
