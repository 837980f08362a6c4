"""Seals and tiles as they are stored."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from app.errors import SealUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.seals import log_tree, sealer
from app.seals.log_tree import HASH_BYTES, TILE_HASHES, Span

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.StoredSql] = sql.beside(__file__)
_SEALER: Final[row_types.SealerSql] = sql.beside(sealer.__file__)
_LAST: Final = 2**63 - 1


class Seal(NamedTuple):
    """A seal; its note has the witnesses' lines after the book's own."""

    size: int
    entry_id: int
    root: bytes
    balances_root: bytes
    horizon_at: datetime
    sealed_at: datetime
    receipt: bytes
    note: str


async def seal(database: Database, size: int | None = None) -> Seal:
    """The seal of a size, else the newest; raises SealUnknownError."""
    row = await database.fetchrow(_SQL["seal"](size=size))
    if row is None:
        raise SealUnknownError("No seal has this size." if size else "Nothing was sealed yet.")
    return Seal(**row)


async def seals(
    database: Database, after: int | None, limit: int, order: Literal["asc", "desc"]
) -> list[Record]:
    """Seals in the order of their sizes, without the witnesses' lines."""
    if order == "asc":
        return await database.fetch(_SQL["seals"](after=after or 0, limit=limit))
    last = _LAST if after is None else after
    return await database.fetch(_SQL["seals_back"](after=last, limit=limit))


async def keys(database: Database) -> list[Record]:
    """The public keys of all seals, the newest first."""
    return await database.fetch(_SQL["keys"]())


async def consistency(database: Database, old: int, size: int) -> list[bytes]:
    """The proof that the log of a size begins with that of an older one.

    Raises SealUnknownError where the other is not older.
    """
    if old > size:
        raise SealUnknownError("The seal to compare with is not older.")
    newest = await database.fetchval("SELECT max(size) FROM seals") or 0
    if size > newest:
        raise SealUnknownError("No seal is that large.")
    return await hashes_of(database, log_tree.consistency_path(old, size))


def in_base64(value: bytes) -> str:
    """A hash or a key as proofs tell it."""
    return base64.b64encode(value).decode()


async def hashes_of(database: Database, spans: Sequence[Span]) -> list[bytes]:
    """The hashes of the spans that a proof named."""
    tiles = await tiles_of(database, log_tree.tiles_of(spans))
    # Beside the server's loop: 0.2 s for an account of 1,000 entries that lie far apart.
    return await asyncio.to_thread(lambda: [log_tree.hash_of(span, tiles) for span in spans])


async def tiles_of(
    database: Database, wanted: Iterable[log_tree.TileId]
) -> dict[log_tree.TileId, bytes]:
    """Tiles of the log."""
    ids = sorted(wanted)
    rows = await database.fetch(
        _SEALER["tiles"](levels=[level for level, _ in ids], tiles=[tile for _, tile in ids])
    )
    return {(row["level"], row["tile"]): row["hashes"] for row in rows}


async def tile(database: Database, level: int, number: int, width: int) -> bytes:
    """The first hashes of a tile that the newest seal covers; raises SealUnknownError."""
    await require_covered(database, level, number, width)
    found = await tiles_of(database, [(level, number)])
    return found[level, number][: width * HASH_BYTES]


async def require_covered(database: Database, level: int, number: int, width: int) -> None:
    """Raise SealUnknownError unless the newest seal has so many hashes in this tile."""
    size = await database.fetchval("SELECT max(size) FROM seals") or 0
    if width > (size >> (8 * level)) - number * TILE_HASHES:
        raise SealUnknownError("No seal covers this tile.")
