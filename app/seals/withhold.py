"""Withhold for good what names a person: the names and texts behind sealed entries.

Their hashes stay, so that every proof stands; the salts go, so that the hashes tell nothing. It
takes the schema's owner, and comes before the texts themselves are erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.seals import evidence, leaves
from app.seals.leaves import SALT_BYTES, SALTS_BYTES
from app.seals.log_tree import TILE_HASHES

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.WithholdSql] = sql.beside(__file__)


async def withhold_texts(database: Database, accounts: Sequence[int]) -> None:
    """Withhold the keys, labels, members, reasons and metadata of these accounts' sealed entries.

    Nothing is sealed until the transaction ends, which erases the texts themselves. What was
    withheld before stays so. Who acted without a key is told on: it was Stripe, or the clock.
    """
    await database.execute(_SQL["lock"]())
    rows = await database.fetch(_SQL["entries"](account_ids=list(accounts)))
    placed = await evidence.places(database, [row["entry"] for row in rows])
    told = [
        (index, salts, row) for row in rows for index, salts in [placed.get(row["entry"], _NOWHERE)]
    ]
    told = [one for one in told if one[1]]
    acts = {index: _act_hash(row, salts[:SALT_BYTES]) for index, salts, row in told}
    texts = {index: _text_hash(row, salts[SALT_BYTES:]) for index, salts, row in told}
    await database.execute(
        _SQL["keep_hashes"](
            entry_ids=[row["entry"] for _, _, row in told],
            acts=list(acts.values()),
            texts=list(texts.values()),
        )
    )
    places = [
        index * SALTS_BYTES + at
        for at, hashes in ((0, acts), (SALT_BYTES, texts))
        for index, hashed in hashes.items()
        if hashed is not None
    ]
    await _forget_salts(database, places)


_FORGOTTEN: Final = bytes(SALT_BYTES)
_NOWHERE: Final = (0, b"")


def _act_hash(row: Record, salt: bytes) -> str | None:
    """Return the hash that stays of who acted under a key; None without a key, or with nothing to
    hide.
    """
    act = leaves.act_of(row)
    if act["idempotency_key"] is None or salt == _FORGOTTEN:
        return None
    return leaves.salted(salt, act)


def _text_hash(row: Record, salt: bytes) -> str | None:
    text = leaves.text_of(row)
    return None if text is None or salt == _FORGOTTEN else leaves.salted(salt, text)


async def _forget_salts(database: Database, places: Sequence[int]) -> None:
    """Put zeroes in place of the salts that begin at these bytes of the whole log's."""
    by_tile: dict[int, list[int]] = {}
    for place in places:
        tile, at = divmod(place, TILE_HASHES * SALTS_BYTES)
        by_tile.setdefault(tile, []).append(at)
    rows = await database.fetch(_SQL["salts"](tiles=list(by_tile)))
    left = {row["tile"]: bytearray(row["salts"]) for row in rows}
    for tile, ats in by_tile.items():
        for at in ats:
            left[tile][at : at + SALT_BYTES] = _FORGOTTEN
    salts = [bytes(one) for one in left.values()]
    await database.execute(_SQL["write_salts"](tiles=list(left), salts=salts))


async def withhold_names(database: Database, accounts: Sequence[int]) -> None:
    """Withhold every name under which these accounts were sealed."""
    await database.execute(_SQL["keep_names"](account_ids=list(accounts)))
