"""The sealer: extends the log by what was committed below the horizon, and signs the head.

It takes no lock that a writer of the ledger waits for, and no writer knows of it.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from app.audit.horizon import Horizon, Horizons
from app.book import Book
from app.errors import BusyError
from app.infrastructure import migrations, sql
from app.infrastructure.db import Database, Record
from app.seals import balance_tree, cose, leaves, notes
from app.seals.backlog import Backlog
from app.seals.balance_tree import Balance
from app.seals.checkpoint import Head, text_hash
from app.seals.log_tree import TILE_HASHES, Edge, leaf_hash
from app.seals.notes import Signer

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.SealerSql] = sql.beside(__file__)
_LEAVES: Final[row_types.LeavesSql] = sql.beside(leaves.__file__)
CHUNK_LEAVES: Final = 64 * TILE_HASHES  # one seal: 0.3 s of work
LEAVES_AT_ONCE: Final = 512  # 5 ms in which the process does nothing else
ENTRY_ID_BYTES: Final = 8


async def seal(book: Book, within_s: float) -> int | None:
    """Seal what is new, in one head for each 16,384 entries; returns the newest size.

    None where no key is set, nothing was ever sealed, or the horizon did not come in time: the
    next tick goes on.
    """
    if not book.seal_keys:
        return None
    signers = tuple(notes.signer(key) for key in book.seal_keys)
    ends_at = time.monotonic() + within_s
    try:
        horizon = await Horizons().find(book.database)
    except BusyError:
        return None
    backlog = Backlog(book.database, horizon)
    while await _seal_chunk(book.database, signers, horizon, backlog):
        if time.monotonic() >= ends_at:
            break
    newest = await book.database.fetchrow(_SQL["newest"]())
    return newest["size"] if newest else None


async def _seal_chunk(
    database: Database, signers: tuple[Signer, ...], horizon: Horizon, backlog: Backlog
) -> bool:
    """Write the next seal; whether there may be more to do."""
    async with database.transaction():
        if not await database.fetchval(_SQL["try_lock"]()):
            return False
        newest = await database.fetchrow(_SQL["newest"]())
        found = await database.fetchrow(
            _LEAVES["next"](
                after=newest["entry_id"] if newest else 0,
                up_to=horizon.entry_id,
                limit=CHUNK_LEAVES,
            )
        )
        if found is None or found["entries"] is None:
            return False
        chunk = await _Chunk.load(database, found, newest["size"] if newest else 0)
        await chunk.write_log()
        await chunk.write_balances()
        more = len(chunk.entries) == CHUNK_LEAVES
        complete_to = await backlog.complete_to(chunk.entries[-1]) if more else horizon.complete_to
        await _sign(chunk, signers, newest, complete_to)
        return more


class _Chunk:
    """The entries that one seal adds to the log."""

    def __init__(
        self,
        database: Database,
        found: row_types.LeavesNext,
        edge: Edge,
        balances: dict[int, Balance],
        names: Mapping[int, str | None],
    ) -> None:
        self.database = database
        self.entries: Sequence[int] = found["entries"]
        self._found = found
        self.edge = edge
        self.balances = balances
        self.names = names
        self.balances_root = b""

    @classmethod
    async def load(cls, database: Database, found: row_types.LeavesNext, size: int) -> _Chunk:
        """Load the state that these entries continue."""
        of_account = zip(reversed(found["accounts"]), reversed(found["entries"]), strict=True)
        first = dict(sorted(dict(of_account).items()))  # of each account
        edge = await _edge(database, size)
        stood = await database.fetch(_SQL["balances"](account_ids=list(first)))
        balances = {row["account"]: Balance(**row) for row in stood}
        return cls(database, found, edge, balances, await _names(database, first))

    async def write_log(self) -> None:
        """Append the leaves, and count each account's entries on."""
        salts = os.urandom(len(self.entries) * leaves.SALTS_BYTES)
        counts = {account: one.entries for account, one in self.balances.items()}
        first, hashes = self.edge.size, list[bytes]()
        rows = self._rows()
        for begin in range(0, len(self.entries), LEAVES_AT_ONCE):
            await asyncio.sleep(0)
            for number, (account, at, leaf, act, hidden) in enumerate(
                islice(rows, LEAVES_AT_ONCE), begin
            ):
                counts[account] = nth = counts.get(account, 0) + 1
                salt = number * leaves.SALTS_BYTES
                own = salts[salt : salt + leaves.SALTS_BYTES]
                told = leaves.leaf_of(leaf, at, act, hidden or None, own, self.names[account], nth)
                hashes.append(leaf_hash(told))
        self.balances = self._balances_after(counts)
        changed = self.edge.grow(hashes)
        await self.database.execute(
            _SQL["write_tiles"](
                levels=[level for level, _ in changed],
                tiles=[tile for _, tile in changed],
                hashes=list(changed.values()),
            )
        )
        await self._write_leaves(first, salts)

    def _rows(self) -> Iterator[tuple[int, str, str, str, str]]:
        """Return each entry's account, the instant of its record, its leaf, act and text."""
        found = self._found
        texts = (found["at"], found["leaves"], found["acts"], found["hidden"])
        return zip(found["accounts"], *(one.split("\n") for one in texts), strict=True)

    def _balances_after(self, counts: Mapping[int, int]) -> dict[int, Balance]:
        found = self._found
        last = {account: number for number, account in enumerate(found["accounts"])}
        return {
            account: Balance(
                account,
                self.entries[number],
                counts[account],
                found["free"][number],
                found["held"][number],
                found["debt"][number],
            )
            for account, number in last.items()
        }

    async def _write_leaves(self, first: int, salts: bytes) -> None:
        """Write entry ids and salts beside their tiles; the first tile may be begun already."""
        tile, filled = divmod(first, TILE_HASHES)
        begun = await self.database.fetchrow(
            "SELECT entry_ids, salts FROM seal_leaves WHERE tile = $1", tile
        )
        ids = struct.pack(f">{len(self.entries)}q", *self.entries)
        if begun is not None:
            ids = begun["entry_ids"][: filled * ENTRY_ID_BYTES] + ids
            salts = begun["salts"][: filled * leaves.SALTS_BYTES] + salts
        of_tiles = _cut(ids, TILE_HASHES * ENTRY_ID_BYTES)
        await self.database.execute(
            _SQL["write_leaves"](
                tiles=[tile + at for at in range(len(of_tiles))],
                first_entry_ids=[int.from_bytes(one[:ENTRY_ID_BYTES]) for one in of_tiles],
                entry_ids=of_tiles,
                salts=_cut(salts, TILE_HASHES * leaves.SALTS_BYTES),
            )
        )

    async def write_balances(self) -> None:
        """Bring the sum tree to what the log says now."""
        changed = list(self.balances.values())
        await self.database.execute(
            _SQL["write_balances"](
                accounts=[one.account for one in changed],
                entries=[one.entry for one in changed],
                counts=[one.entries for one in changed],
                free=[one.free for one in changed],
                held=[one.held for one in changed],
                debt=[one.debt for one in changed],
            )
        )
        tiles = await balance_tiles(self.database, list(self.balances))
        self.balances_root, written = balance_tree.update(
            tiles, {one.account: balance_tree.leaf(one) for one in changed}
        )
        await self.database.execute(
            _SQL["write_balance_tiles"](
                levels=[level for level, _ in written],
                tiles=[tile for _, tile in written],
                nodes=list(written.values()),
            )
        )


async def _sign(
    chunk: _Chunk, signers: tuple[Signer, ...], newest: Record | None, horizon_at: datetime
) -> None:
    database, first = chunk.database, signers[0]
    about = await database.fetchrow(_SQL["about"]())
    assert about is not None
    before = notes.split(newest["note"])[0] if newest else ""
    previous = (newest["size"], text_hash(before)) if newest else None
    catalogue = (about["catalogue_id"], about["catalogue_hash"]) if about["catalogue_id"] else None
    head = Head(
        origin=first.name,
        size=chunk.edge.size,
        root=chunk.edge.root(),
        balances_hash=balance_tree.hash_of(chunk.balances_root),
        totals=balance_tree.sums_of(chunk.balances_root),
        horizon_at=horizon_at,
        entry_id=chunk.entries[-1],
        catalogue=catalogue,
        schema=migrations.known()[-1],
        epoch=about["epoch"],
        previous=previous,
    )
    await database.execute(
        _SQL["write_seal"](
            size=head.size,
            entry_id=head.entry_id,
            root=head.root,
            balances_root=chunk.balances_root,
            horizon_at=horizon_at,
            sealed_at=about["now"],
            catalogue_id=about["catalogue_id"],
            note=notes.sign(head.text(), signers),
            receipt=cose.sign_root(head.root, first),
        )
    )
    keys = [one.told for one in signers]
    await database.execute(_SQL["write_keys"](size=head.size, keys=keys))


async def _names(database: Database, first: Mapping[int, int]) -> dict[int, str | None]:
    """Return the hash of each account's name; a name that is new gets a salt and is kept.

    ``first`` has the accounts, and of each the first entry from which a new name holds.
    """
    hashes: dict[int, str | None] = {}
    new: list[tuple[int, int, str, bytes, str]] = []
    for found in await database.fetch(_SQL["names"](account_ids=list(first))):
        account, name = found["account_id"], found["public_id"]
        hashes[account] = found["hash"]
        if name is not None and name != found["name"]:
            salt = os.urandom(leaves.SALT_BYTES)
            hashes[account] = told = leaves.salted(salt, name)
            new.append((account, first[account], name, salt, told))
    if new:
        account_ids, entry_ids, names, salts, salted = map(list, zip(*new, strict=True))
        await database.execute(
            _SQL["write_names"](
                account_ids=account_ids,
                entry_ids=entry_ids,
                names=names,
                salts=salts,
                hashes=salted,
            )
        )
    return hashes


async def _edge(database: Database, size: int) -> Edge:
    wanted = Edge.tiles(size)
    rows = await database.fetch(
        _SQL["tiles"](levels=[level for level, _ in wanted], tiles=[tile for _, tile in wanted])
    )
    return Edge(size, {row["level"]: row["hashes"] for row in rows})


async def balance_tiles(
    database: Database, accounts: Sequence[int]
) -> dict[tuple[int, int], bytes]:
    """The tiles of the balances' tree on the way from these accounts to the root."""
    wanted = sorted(balance_tree.tiles_of(accounts))
    rows = await database.fetch(
        _SQL["balance_tiles"](
            levels=[level for level, _ in wanted], tiles=[tile for _, tile in wanted]
        )
    )
    return {(row["level"], row["tile"]): row["nodes"] for row in rows}


def _cut(data: bytes, width: int) -> list[bytes]:
    return [data[at : at + width] for at in range(0, len(data), width)]
