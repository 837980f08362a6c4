"""Accounts that nobody uses: a run skips them, and their next use opens their day.

The catalogue says after how many days, by ``dormant_after_days``. A dormant account's ``due_at``
lies past its day's end, so that no tick looks at it again; a read or a use finds its day's end all
the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from app.allowance.catalogues import Catalogues
from app.infrastructure import sql
from app.infrastructure.clock import NEVER
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.runs import row_types


CHUNK_ACCOUNTS: Final = 5_000

_SQL: Final[row_types.DormancySql] = sql.beside(__file__)


def used_since(starts_at: datetime, dormant_after_days: int | None) -> datetime | None:
    """Tell when an account must have been used last to be dormant; None if none ever is."""
    return None if dormant_after_days is None else starts_at - timedelta(days=dormant_after_days)


def is_dormant(last_used_at: datetime | None, opened_at: datetime, since: datetime | None) -> bool:
    """Tell whether a run skips the account; ``opened_at`` counts as a use."""
    return since is not None and (last_used_at or opened_at) <= since


async def skip(database: Database, time_zone: str, starts_at: datetime, since: datetime) -> int:
    """Skip the next accounts of the zone that are dormant on its day; returns their number."""
    tag = await database.execute(
        _SQL["skip"](
            starts_at=starts_at,
            time_zone=time_zone,
            since=since,
            most=CHUNK_ACCOUNTS,
            never=NEVER,
        )
    )
    return int(tag.rpartition(" ")[2])


async def wake(database: Database) -> None:
    """Let every dormant account be due again: the catalogue says otherwise now."""
    while True:
        tag = await database.execute(_SQL["wake"](most=CHUNK_ACCOUNTS))
        if tag == "UPDATE 0":
            return


async def rouse(database: Database, catalogues: Catalogues) -> None:
    """Wake the accounts that ``wake`` missed: locked then, or skipped just after."""
    _, catalogue = await catalogues.present(database)
    if catalogue.dormant_after_days is None and await zones(database):
        await wake(database)


async def zones(database: Database) -> list[str]:
    """The zones with dormant accounts, by one look into the index for each."""
    rows = await database.fetch(_SQL["zones"]())
    return [row["name"] for row in rows]


async def count(database: Database, zone_names: list[str]) -> int:
    """Count the dormant accounts of these zones."""
    number: int = await database.fetchval(_SQL["count"](zones=zone_names))
    return number
