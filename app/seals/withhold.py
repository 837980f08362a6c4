"""Withhold for good what names a person: the names and texts behind sealed entries.

Their hashes stay, so that every proof stands; the salts go, so that the hashes tell nothing. It
takes the schema's owner, and comes before the texts themselves are erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.seals import evidence, leaves
from app.seals.leaves import SALT_BYTES, SALTS_BYTES
from app.seals.log_tree import TILE_HASHES

_SQL: Final = sql.beside(__file__)


async def withhold_texts(database: Database, accounts: Sequence[int]) -> None:
    """Withhold the labels, members, reasons and metadata of these accounts' sealed entries.

    Nothing is sealed until the transaction ends, which erases the texts themselves.
    """
    await database.execute(*_SQL["lock"]())
    rows = await database.fetch(*_SQL["entries"](account_ids=list(accounts)))
    places = await evidence.places(database, [row["entry"] for row in rows])
    told = {
        row["entry"]: (places[row["entry"]], text)
        for row in rows
        if row["entry"] in places and (text := leaves.text_of(row)) is not None
    }
    await database.execute(
        *_SQL["keep_texts"](
            entry_ids=list(told),
            hashes=[leaves.salted(salts[SALT_BYTES:], text) for (_, salts), text in told.values()],
        )
    )
    for (index, _), _ in told.values():
        tile, at = divmod(index, TILE_HASHES)
        position = at * SALTS_BYTES + SALT_BYTES + 1  # PostgreSQL counts from 1
        await database.execute(
            *_SQL["forget_salt"](tile=tile, position=position, nothing=bytes(SALT_BYTES))
        )


async def withhold_names(database: Database, accounts: Sequence[int]) -> None:
    """Withhold every name under which these accounts were sealed."""
    await database.execute(*_SQL["keep_names"](account_ids=list(accounts)))
