"""The log as C2SP's tlog-tiles has it: paths of tiles, and bundles of entries.

A tile stands at ``<level>/<number>``, a bundle of 256 entries at ``entries/<number>``; the number's
digits go by threes, ``1234067`` is ``x001/x234/067``. ``.p/<width>`` asks for the first hashes or
entries of one that is not full, or was not when a seal was made.

An entry of a bundle is its leaf's bytes: what a person's data may stand in is hashed under a salt
there, and no salt is told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from app.errors import SealUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.seals import leaves, recompute, stored
from app.seals.leaves import NOTHING_ERASED
from app.seals.log_tree import TILE_HASHES

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.TiledLogSql] = sql.beside(__file__)
_LEAVES: Final[row_types.LeavesSql] = sql.beside(leaves.__file__)
_LENGTH_BYTES: Final = 2
_PLACE: Final = re.compile(
    r"(?P<level>entries|0|[1-9]\d?)/(?P<number>(?!x000/)(?:x\d{3}/){0,4}\d{3})"
    r"(?:\.p/(?P<width>[1-9]\d{0,2}))?",
    re.ASCII,
)


class Place(NamedTuple):
    """A tile; ``level`` is None for a bundle of entries."""

    level: int | None
    number: int
    width: int


def place_of(path: str) -> Place:
    """Read a path below ``tile/``; raises SealUnknownError."""
    found = _PLACE.fullmatch(path)
    width = int(found["width"] or TILE_HASHES) if found else 0
    if found is None or width > TILE_HASHES or found["width"] == str(TILE_HASHES):
        raise SealUnknownError("This is no path of a tile (C2SP tlog-tiles).")
    level = None if found["level"] == "entries" else int(found["level"])
    return Place(level, int(re.sub(r"[x/]", "", found["number"])), width)


async def read(database: Database, place: Place) -> bytes:
    """A tile's hashes or a bundle of entries, as the newest seal covers them.

    Raises SealUnknownError.
    """
    if place.level is None:
        return await bundle(database, place.number, place.width)
    return await stored.tile(database, place.level, place.number, place.width)


async def bundle(database: Database, number: int, width: int) -> bytes:
    """The leaves of a tile, each behind its length in two bytes.

    Raises SealUnknownError where no seal covers them, or where the ledger no longer has them.
    """
    async with database.snapshot():
        await stored.require_covered(database, 0, number, width)
        tile = await database.fetchrow(_SQL["tile"](tile=number))
        assert tile is not None
        ids = recompute.entry_ids_of(tile)[:width]
        rows = await database.fetch(_LEAVES["of_entries"](entry_ids=ids))
        if [row["entry"] for row in rows] != ids:
            raise SealUnknownError(
                "The ledger lacks entries of this tile: `tallybook ledger verify` names them."
            )
        accounts = sorted({row["account"] for row in rows})
        before = await database.fetch(_SQL["before"](account_ids=accounts, entry_id=ids[0]))
        counts: dict[int, int] = {row["account_id"]: row["entries"] for row in before}
        names = await recompute.Names.load(database, accounts)
        erased = await recompute.erased_of(database, ids)
        told = bytearray()
        for at, row in enumerate(rows):
            account, entry = row["account"], row["entry"]
            counts[account] = nth = counts.get(account, 0) + 1
            name = names.at(account, entry)
            hashed = name["hash"] if name else None
            gone = erased.get(entry, NOTHING_ERASED)
            leaf = leaves.leaf_of_row(row, recompute.salts_at(tile, at), hashed, nth, gone)
            told += len(leaf).to_bytes(_LENGTH_BYTES) + leaf
        return bytes(told)
