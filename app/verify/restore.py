"""After a restore to an earlier moment: make sure that no id is given out twice.

The sequences went back with the data, while applications and auditors still have ids from the time
that was lost. Only the schema's owner may do this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.infrastructure import sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.verify import row_types


# More ids than any book draws between a backup and its restore: 10,000 a second for a day. The
# sequences have 63 bits, enough for nine billion restores.
IDS_SKIPPED: Final = 1_000_000_000

_SQL: Final[row_types.RestoreSql] = sql.beside(__file__)


async def begin_epoch(database: Database) -> int:
    """Move every id sequence on, in the caller's transaction; return the book's new epoch.

    Raises asyncpg.InsufficientPrivilegeError unless the login owns the schema.
    """
    await database.fetch(_SQL["skip_ids"](margin=IDS_SKIPPED))
    epoch: int = await database.fetchval(_SQL["begin_epoch"]())
    return epoch
