"""The Merkle sum tree over the balances of all accounts.

An account's number is its place among 2^40. A node is a hash with four sums: the accounts below it,
and their free, held and owed credits. An inner node's hash covers both children's hashes and sums,
so that the root states the book's totals and nobody can hide a debt or count a credit twice without
changing it. A place without an account is empty, and so is a subtree without any: a proof of an
empty place shows that the account has no entry.

Stored are tiles of 16 nodes, ten levels of them: a seal costs by the accounts that changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

HEIGHT: Final = 40
TILE_NODES: Final = 16
TILE_BITS: Final = 4
LEVELS: Final = HEIGHT // TILE_BITS
_HASH_BYTES: Final = 32
_SUM_BYTES: Final = 16
_SUM_BITS: Final = 8 * _SUM_BYTES
_SUMS_BYTES: Final = 4 * _SUM_BYTES
NODE_BYTES: Final = _HASH_BYTES + _SUMS_BYTES
EMPTY: Final = bytes(NODE_BYTES)

# A leaf's bytes: canonical JSON behind the byte that tells it from a node.
_LEAF: Final = b'\0{"account":%d,"debt":%d,"entries":%d,"entry":%d,"free":%d,"held":%d}'

TileId = tuple[int, int]  # (level, number)


class Balance(NamedTuple):
    """An account's leaf: its last sealed entry, how many it has, and its three sides after it."""

    account: int
    entry: int
    entries: int
    free: int
    held: int
    debt: int


class Sums(NamedTuple):
    """A node's sums."""

    accounts: int
    free: int
    held: int
    debt: int


def leaf(balance: Balance) -> bytes:
    """The node of an account."""
    account, entry, entries, free, held, debt = balance
    digest = sha256(_LEAF % (account, debt, entries, entry, free, held)).digest()
    return digest + _lanes(1, free, held, debt).to_bytes(_SUMS_BYTES)


def sums_of(node: bytes) -> Sums:
    """The sums of a node."""
    return Sums(
        *(
            int.from_bytes(node[at : at + _SUM_BYTES])
            for at in range(_HASH_BYTES, NODE_BYTES, _SUM_BYTES)
        )
    )


def hash_of(node: bytes) -> bytes:
    """The hash of a node."""
    return node[:_HASH_BYTES]


def join(left: bytes, right: bytes) -> bytes:
    """The node above two.

    The four sums are added as the lanes of one large number, none of which overflows: 1 us instead
    of 6, of which a million new accounts take a million.
    """
    if left == right == EMPTY:
        return EMPTY
    sums = int.from_bytes(left[_HASH_BYTES:]) + int.from_bytes(right[_HASH_BYTES:])
    return sha256(b"\1" + left + right).digest() + sums.to_bytes(_SUMS_BYTES)


def tiles_of(accounts: Iterable[int]) -> set[TileId]:
    """The tiles on the way from these accounts to the root."""
    tiles, numbers = set[TileId](), set(accounts)
    for level in range(LEVELS):
        numbers = {number >> TILE_BITS for number in numbers}
        tiles.update((level, number) for number in numbers)
    return tiles


class Tiles(Protocol):
    """Tiles by their ids, such as a mapping of them."""

    def get(self, tile: TileId, default: bytes, /) -> bytes:
        """The tile's nodes, or the default where there is none."""
        ...


def update(tiles: Tiles, leaves: Mapping[int, bytes]) -> tuple[bytes, dict[TileId, bytes]]:
    """Put leaves at their accounts' places: the root, and the tiles that changed.

    ``tiles`` are those of `tiles_of`; one that is missing is empty.
    """
    changed: dict[TileId, bytes] = {}
    nodes = dict(leaves)
    for level in range(LEVELS):
        rows: dict[int, list[bytes]] = {}
        for place, node in nodes.items():
            number, at = divmod(place, TILE_NODES)
            if number not in rows:
                rows[number] = _split(tiles.get((level, number), b""))
            rows[number][at] = node
        changed |= {(level, number): b"".join(row) for number, row in rows.items()}
        nodes = {number: _root(row) for number, row in rows.items()}
    return nodes[0], changed


def path(tiles: Mapping[TileId, bytes], account: int) -> list[bytes]:
    """The siblings of an account's place, from below to the root."""
    siblings = []
    for level in range(LEVELS):
        place = account >> (TILE_BITS * level)
        row = _split(tiles.get((level, place // TILE_NODES), b""))
        at = place % TILE_NODES
        while len(row) > 1:
            siblings.append(row[at ^ 1])
            row, at = _above(row), at >> 1
    return siblings


def _lanes(accounts: int, free: int, held: int, debt: int) -> int:
    return ((accounts << _SUM_BITS | free) << _SUM_BITS | held) << _SUM_BITS | debt


def _root(row: list[bytes]) -> bytes:
    while len(row) > 1:
        row = _above(row)
    return row[0]


def _above(row: list[bytes]) -> list[bytes]:
    return [join(*pair) for pair in zip(row[::2], row[1::2], strict=True)]


def _split(tile: bytes) -> list[bytes]:
    if not tile:
        return [EMPTY] * TILE_NODES
    return [tile[at : at + NODE_BYTES] for at in range(0, len(tile), NODE_BYTES)]
