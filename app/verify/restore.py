"""After a restore to an earlier moment: no id that was handed out may name another thing.

The sequences went back with the data, while applications and auditors still have the ids of the
moments that were lost. Only the schema's owner may do this.
"""

from __future__ import annotations

from typing import Final

from app.infrastructure import sql
from app.infrastructure.db import Database

# More ids than any book draws between a backup and its restore: 10,000 a second for a day. The
# sequences are 63 bits wide, room for nine billion restores.
IDS_SKIPPED: Final = 1_000_000_000

_SQL: Final = sql.beside(__file__)


async def begin_epoch(database: Database) -> int:
    """Move every id sequence on, in the caller's transaction; returns the book's new epoch.

    Raises asyncpg.InsufficientPrivilegeError unless the login owns the schema.
    """
    await database.fetch(*_SQL["skip_ids"](margin=IDS_SKIPPED))
    epoch: int = await database.fetchval(*_SQL["begin_epoch"]())
    return epoch
