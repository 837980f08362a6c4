"""Recompute the log, the balances and every head from the ledger as it is now."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NamedTuple

from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.seals import balance_tree, leaves, notes
from app.seals.balance_tree import Balance
from app.seals.checkpoint import Head, text_hash
from app.seals.leaves import NOTHING_ERASED, SALTS_BYTES, Erased
from app.seals.log_tree import Edge, leaf_hash
from app.seals.sealer import ENTRY_ID_BYTES
from app.seals.tiles_on_disk import TilesOnDisk

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.RecomputeSql] = sql.beside(__file__)
_LEAVES: Final[row_types.LeavesSql] = sql.beside(leaves.__file__)
TILES_AT_ONCE: Final = 32
SEALS_AT_ONCE: Final = 1_000
_COUNT_BYTES: Final = array("I").itemsize


class Sealed(NamedTuple):
    """An entry below the newest seal: as a leaf, if both the log and the ledger have it."""

    entry: int
    row: Record | None
    leaf: bytes | None
    nth: int = 0  # of its account's entries


class Names:
    """The names under which accounts were sealed."""

    def __init__(self, rows: Sequence[Record]) -> None:
        self._since: dict[int, list[int]] = defaultdict(list)
        self._rows: dict[int, list[Record]] = defaultdict(list)
        for row in rows:
            self._since[row["account_id"]].append(row["since_entry_id"])
            self._rows[row["account_id"]].append(row)

    @classmethod
    async def load(cls, database: Database, accounts: Sequence[int]) -> Names:
        """Load the names of these accounts."""
        return cls(await database.fetch(_SQL["names"](account_ids=accounts)))

    def of(self, account: int) -> Sequence[Record]:
        """All rows of an account."""
        return self._rows[account]

    def at(self, account: int, entry: int) -> Record | None:
        """The row of the name that an account had at an entry."""
        number = bisect_right(self._since[account], entry)
        return self._rows[account][number - 1] if number else None


async def erased_of(database: Database, entries: Sequence[int]) -> Mapping[int, Erased]:
    """The hashes of what was erased, by entry."""
    rows = await database.fetch(_SQL["erased"](entry_ids=entries))
    return {row["entry_id"]: Erased(row["act"], row["text"]) for row in rows}


def entry_ids_of(tile: Record) -> list[int]:
    """The ids of a tile's entries."""
    packed = tile["entry_ids"]
    return list(struct.unpack(f">{len(packed) // ENTRY_ID_BYTES}q", packed))


def salts_at(tile: Record, at: int) -> bytes:
    """The salts of the entry at a place in its tile."""
    salts: bytes = tile["salts"][at * SALTS_BYTES : (at + 1) * SALTS_BYTES]
    return salts


async def account_max(database: Database) -> int:
    """The largest number of an account that has entries."""
    return await database.fetchval("SELECT max(account_id) FROM entries") or 0


async def sealed(database: Database) -> AsyncGenerator[Sealed, None]:
    """Every entry of the log in its order, and those that are missing in log or ledger."""
    tile, last = -1, 0
    counts = array("I", bytes(_COUNT_BYTES * (await account_max(database) + 1)))
    while tiles := await database.fetch(_SQL["tiles"](after=tile, limit=TILES_AT_ONCE)):
        tile = tiles[-1]["tile"]
        places = {
            entry: salts_at(one, at) for one in tiles for at, entry in enumerate(entry_ids_of(one))
        }
        up_to = max(places)
        rows = await database.fetch(
            _LEAVES["after"](after=last, up_to=up_to, limit=None)  # NULL is no limit
        )
        last = up_to
        names = await Names.load(database, sorted({row["account"] for row in rows}))
        erased = await erased_of(database, list(places))
        found = {row["entry"]: row for row in rows}
        for entry in sorted(places.keys() | found.keys()):
            row = found.get(entry)
            if row is None or entry not in places:
                yield Sealed(entry, row, None)
                continue
            counts[row["account"]] += 1
            name = names.at(row["account"], entry)
            leaf = leaves.leaf_of_row(
                row,
                places[entry],
                name["hash"] if name else None,
                counts[row["account"]],
                erased.get(entry, NOTHING_ERASED),
            )
            yield Sealed(entry, row, leaf, counts[row["account"]])


async def leaves_of(database: Database) -> AsyncGenerator[bytes, None]:
    """The bytes of every leaf that log and ledger both have, in the order of the log."""
    async with aclosing(sealed(database)) as found:
        async for one in found:
            if one.leaf is not None:
                yield one.leaf


async def wrong_seals(database: Database) -> AsyncGenerator[str, None]:
    """Name what differs between the seals and the ledger."""
    with TilesOnDisk(await account_max(database)) as tiles:
        async with aclosing(_differences(database, _Ledger(tiles))) as told:
            async for text in told:
                yield text


async def _differences(database: Database, ledger: _Ledger) -> AsyncGenerator[str, None]:
    heads = _seals(database)
    async with aclosing(heads), aclosing(sealed(database)) as found:
        head = await anext(heads, None)
        async for one in found:
            while head is not None and one.entry > head["entry_id"]:
                for text in ledger.differences(head):
                    yield text
                head = await anext(heads, None)
            if one.leaf is None:
                where = "the ledger" if one.row is None else "the log"
                yield f"entry {one.entry} is not in {where}, though it is below a seal"
            if one.row is not None and one.leaf is not None:
                ledger.add(one.row, one.leaf, one.nth)
        while head is not None:
            for text in ledger.differences(head):
                yield text
            head = await anext(heads, None)


class _Ledger:
    """The log and the balances as the ledger has them, up to an entry."""

    def __init__(self, tiles: TilesOnDisk) -> None:
        self._edge = Edge(0, {})
        self._hashes: list[bytes] = []
        self._changed: dict[int, Balance] = {}
        self._tiles = tiles
        self._root = b""
        self._before: tuple[int, bytes] | None = None

    def add(self, row: Record, leaf: bytes, nth: int) -> None:
        self._hashes.append(leaf_hash(leaf))
        self._changed[row["account"]] = Balance(
            account=row["account"],
            entry=row["entry"],
            entries=nth,
            free=row["free_after"],
            held=row["held_after"],
            debt=row["debt_after"],
        )

    def differences(self, seal: Record) -> list[str]:
        """Return a sentence for each part of a seal that is wrong."""
        self._edge.grow(self._hashes)
        nodes = {number: balance_tree.leaf(one) for number, one in self._changed.items()}
        if nodes:
            self._root, changed = balance_tree.update(self._tiles, nodes)
            self._tiles.update(changed)
        self._hashes, self._changed = [], {}
        text, _ = notes.split(seal["note"])
        head = Head.read(text)
        said: list[tuple[str, object, object]] = [
            ("size", head.size, self._edge.size),
            ("size of its row", seal["size"], self._edge.size),
            ("root", head.root, self._edge.root()),
            ("root of its row", seal["root"], self._edge.root()),
            ("balances", head.balances_hash, balance_tree.hash_of(self._root)),
            ("balances of its row", seal["balances_root"], self._root),
            ("totals", head.totals, balance_tree.sums_of(self._root)),
            ("entry", head.entry_id, seal["entry_id"]),
            ("horizon", head.horizon_at, seal["horizon_at"]),
            ("seal before", head.previous, self._before),
        ]
        catalogue = (seal["catalogue_id"], seal["catalogue_hash"]) if head.catalogue else None
        said.append(("catalogue", head.catalogue, catalogue))
        self._before = (seal["size"], text_hash(text))
        return [
            f"seal {seal['size']}: its {name} is {_told(stands)}, the ledger's {_told(derived)}"
            for name, stands, derived in said
            if stands != derived
        ]


async def _seals(database: Database) -> AsyncGenerator[Record, None]:
    size = 0
    while rows := await database.fetch(_SQL["seals"](after=size, limit=SEALS_AT_ONCE)):
        size = rows[-1]["size"]
        for row in rows:
            yield row


def _told(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
