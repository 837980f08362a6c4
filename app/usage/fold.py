"""Fold the entries below the horizon into usage by day, each second in a worker.

Nothing can be recorded before them any more; reports add the few entries above (see ``report``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from app.allowance.catalogues import Catalogues
from app.audit.horizon import Horizons
from app.errors import BusyError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.usage import alerts

if TYPE_CHECKING:
    from app.usage import row_types


CHUNK_ENTRIES: Final = 20_000  # entries per transaction of the fold: about a third of a second
_SQL: Final[row_types.FoldSql] = sql.beside(__file__)
# The check that `ledger verify` makes, as the text of a statement without parameters.
DIFFERENCES: Final = (
    _SQL["differences"].text.replace("$1", "0").replace("$2", "(SELECT entry_id FROM usage_fold)")
)


async def fold(database: Database, catalogues: Catalogues, within_s: float) -> None:
    """Fold the entries that nothing can come before any more, and raise their alerts.

    A chunk is a transaction. Two folds at once take turns, and the next fold goes on where one
    stops.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within_s
    if await database.fetchval(
        """SELECT NOT EXISTS (SELECT FROM entries
                               WHERE id > (SELECT entry_id FROM usage_fold))"""
    ):
        return
    try:
        horizon = (await Horizons().find(database)).entry_id
    except BusyError:
        return  # the next second continues
    _, catalogue = await catalogues.present(database)
    watches = alerts.watches(catalogue)
    while loop.time() < ends_at and await _fold_chunk(database, horizon, watches):
        continue


async def _fold_chunk(database: Database, horizon: int, watches: alerts.Watches | None) -> bool:
    """Fold one chunk; return whether there is more."""
    async with database.transaction():
        after: int = await database.fetchval("SELECT entry_id FROM usage_fold FOR UPDATE")
        # By count, not by id: after a restore ids continue a billion higher.
        to: int | None = await database.fetchval(
            _SQL["chunk_end"](after=after, horizon=horizon, limit=CHUNK_ENTRIES)
        )
        if to is None:
            return False
        await database.execute(_SQL["fold"](after=after, to=to))
        await database.execute("UPDATE usage_fold SET entry_id = $1", to)
        if watches is not None:
            await _alert(database, watches, to)
    return to < horizon


async def _alert(database: Database, watches: alerts.Watches, to: int) -> None:
    """Raise the alerts of the entries not yet judged; a rebuild folds and judges none."""
    alerted_to: int = await database.fetchval("SELECT alerted_to FROM usage_fold")
    if to > alerted_to:
        await alerts.raise_alerts(database, watches, alerted_to, to)
        await database.execute("UPDATE usage_fold SET alerted_to = $1", to)


async def refold(database: Database) -> None:
    """Fold everything from the first entry on; no alert is raised again."""
    horizon = (await Horizons().find(database)).entry_id
    async with database.transaction():
        await database.execute("UPDATE usage_fold SET entry_id = 0")
        await database.execute(_SQL["forget"]())
    while await _fold_chunk(database, horizon, None):
        continue
