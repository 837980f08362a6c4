"""The log's Merkle tree (RFC 9162, SHA-256), kept as tiles of 256 hashes (C2SP tlog-tiles).

A tile of level 0 holds the hashes of 256 leaves, one of level 1 the roots of 256 tiles of level 0,
and so on. A tree only grows: a full tile never changes, and any proof in a tree of 10 million
leaves reads at most three tiles for each leaf, 24 kB.

A subtree is named by the leaves that it spans, [start, end). Proofs are lists of such spans; the
caller fetches the tiles that `tiles_of` names and lets `hash_of` compute each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
TILE_HASHES: Final = 256
_TILE_BITS: Final = 8
_TILE_BYTES: Final = TILE_HASHES * HASH_BYTES
EMPTY_ROOT: Final = sha256().digest()

Span = tuple[int, int]
TileId = tuple[int, int]  # (level, number)


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over these hashes, the last of which may be that of a smaller subtree."""
    row = list(hashes) or [EMPTY_ROOT]
    while len(row) > 1:
        odd = row[len(row) & ~1 :]
        row = [node_hash(*pair) for pair in zip(row[::2], row[1::2], strict=False)] + odd
    return row[0]


class Edge:
    """The right edge of a tree: its size, and the tile that is not full of each level."""

    def __init__(self, size: int, partial: Mapping[int, bytes]) -> None:
        self.size = size
        self._partial = dict(partial)

    @staticmethod
    def tiles(size: int) -> list[TileId]:
        """The tiles that the edge of a tree of this size consists of."""
        counts = _counts(size)
        return [(level, n >> _TILE_BITS) for level, n in enumerate(counts) if n % TILE_HASHES]

    def grow(self, leaves: Iterable[bytes]) -> dict[TileId, bytes]:
        """Append the hashes of leaves; returns each tile that changed, as it is now."""
        changed: dict[TileId, bytes] = {}
        row, level, count = b"".join(leaves), 0, self.size
        self.size += len(row) // HASH_BYTES
        while row:
            row = self._partial.get(level, b"") + row
            first = count >> _TILE_BITS
            full = len(row) // _TILE_BYTES
            for number in range(full + (len(row) % _TILE_BYTES > 0)):
                tile = row[number * _TILE_BYTES : (number + 1) * _TILE_BYTES]
                changed[level, first + number] = tile
            self._partial[level] = row[full * _TILE_BYTES :]
            row = _halved(row[: full * _TILE_BYTES], _TILE_BITS)
            level, count = level + 1, first
        return changed

    def root(self) -> bytes:
        """The root of the tree as it is."""
        root: list[bytes] = []
        for level in range(len(_counts(self.size))):
            hashes = [*_split(self._partial.get(level, b"")), *root]
            root = [root_of(hashes)] if hashes else []
        return root[0] if root else EMPTY_ROOT


def inclusion_path(index: int, size: int) -> list[Span]:
    """The siblings of a leaf from below to the root (RFC 9162, 2.1.3.1)."""
    spans, start, end = list[Span](), 0, size
    while end - start > 1:
        middle = start + left_of(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def inclusion_of_many(indexes: Sequence[int], size: int) -> Iterator[Span]:
    """Yield the spans that, beside these ascending leaves, give the root: from left to right."""

    def beside(start: int, end: int, within: Sequence[int]) -> Iterator[Span]:
        if not within:
            yield start, end
        elif end - start > 1:
            middle = start + left_of(end - start)
            at = bisect_left(within, middle)
            yield from beside(start, middle, within[:at])
            yield from beside(middle, end, within[at:])

    yield from beside(0, size, indexes)


def consistency_path(old: int, size: int) -> list[Span]:
    """Return the proof that a tree of this size begins with the older one (RFC 9162, 2.1.4.1).

    Nothing where the older one is empty or the same.
    """
    if old in (0, size):
        return []
    spans, start, end, whole = list[Span](), 0, size, True
    while old != end:
        middle = start + left_of(end - start)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start, whole = middle, False
    return [*([] if whole else [(start, end)]), *spans[::-1]]


def tiles_of(spans: Iterable[Span]) -> set[TileId]:
    """The tiles that hold what the hashes of these spans are computed from."""
    return {
        (level, position >> _TILE_BITS) for span in spans for level, position, _ in _subtrees(*span)
    }


def hash_of(span: Span, tiles: Mapping[TileId, bytes]) -> bytes:
    """The hash of a span that a proof named."""
    hashes = []
    for level, position, count in _subtrees(*span):
        tile = tiles[level, position >> _TILE_BITS]
        begin = position % TILE_HASHES
        within = tile[begin * HASH_BYTES : (begin + count) * HASH_BYTES]
        hashes.append(_halved(within, count.bit_length() - 1))
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def _subtrees(start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The complete subtrees of a span, from left to right: (level, first position, hashes)."""
    while start < end:
        bits = (end - start).bit_length() - 1
        level, within = divmod(bits, _TILE_BITS)
        yield level, start >> (level * _TILE_BITS), 1 << within
        start += 1 << bits


def left_of(count: int) -> int:
    """The leaves of the left subtree: the largest power of two below the count."""
    return 1 << ((count - 1).bit_length() - 1)


def _counts(size: int) -> list[int]:
    """Return how many hashes each level has."""
    counts = []
    while size:
        counts.append(size)
        size >>= _TILE_BITS
    return counts


def _halved(hashes: bytes, times: int) -> bytes:
    """Return the roots of complete subtrees, side by side, each of 2 to the ``times`` hashes.

    Of a million leaves it makes a million hashes.
    """
    for _ in range(times):
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join(
            [sha256(b"\1" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs]
        )
    return hashes


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
