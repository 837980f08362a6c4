"""Tiles of a tree of balances in a file without a name: memory does not grow with accounts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from app.seals.balance_tree import LEVELS, NODE_BYTES, TILE_BITS, TILE_NODES, TileId

_TILE_BYTES: Final = TILE_NODES * NODE_BYTES


class TilesOnDisk:
    """Each tile at its place in a sparse file; one that was never written reads as empty.

    For accounts up to a number. 100 bytes an account go to the folder of temporary files.
    """

    def __init__(self, account_max: int) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed at the exit
        counts = [(account_max >> (TILE_BITS * (level + 1))) + 1 for level in range(LEVELS)]
        self._first = [sum(counts[:level]) for level in range(LEVELS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._file.close()

    def get(self, tile: TileId, default: bytes = b"") -> bytes:
        """The tile's nodes, or the default beyond all that was written."""
        return os.pread(self._file.fileno(), _TILE_BYTES, self._place(tile)) or default

    def update(self, changed: Mapping[TileId, bytes]) -> None:
        """Write these tiles."""
        for tile, nodes in changed.items():
            os.pwrite(self._file.fileno(), nodes, self._place(tile))

    def _place(self, tile: TileId) -> int:
        level, number = tile
        return (self._first[level] + number) * _TILE_BYTES
