"""Compare two heads: whether the log of the newer begins with that of the older one."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import SealUnknownError
from app.infrastructure.db import Database
from app.seals import stored
from app.seals.checkpoint import Head
from app.seals.log_tree import left_of, node_hash


async def fork(database: Database, old: Head, new: Head) -> str | None:
    """A sentence on how the newer head forks from the older one; None if it continues it.

    The proof is read from the book, and believes neither head: its hashes lead to both or not.
    """
    if old.origin != new.origin:
        return f"The heads are of two books: {old.origin} and {new.origin}."
    if old.size > new.size:
        return f"FORK: the newer head has {new.size} entries, the older {old.size}.{_why(old, new)}"
    if old.size == new.size:
        same = old.root == new.root and old.balances_hash == new.balances_hash
        return None if same else f"FORK: two logs of {old.size} entries differ.{_why(old, new)}"
    try:
        proof = await stored.consistency(database, old.size, new.size)
    except SealUnknownError:
        return f"FORK: this book has no log of {new.size} entries.{_why(old, new)}"
    if is_consistent(old.size, old.root, new.size, new.root, proof):
        return None
    return (
        f"FORK: the log of {new.size} entries does not begin with the {old.size} that were sealed "
        f"before.{_why(old, new)}"
    )


def is_consistent(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether a proof leads from an older root to both (RFC 9162, 2.1.4)."""
    waiting = iter(proof)

    def both(old: int, new: int, *, whole: bool) -> tuple[bytes, bytes]:
        if old == new:
            same = old_root if whole else next(waiting, b"")
            return same, same
        left = left_of(new)
        if old <= left:
            before, after = both(old, left, whole=whole)
            return before, node_hash(after, next(waiting, b""))
        before, after = both(old - left, new - left, whole=False)
        first = next(waiting, b"")
        return node_hash(first, before), node_hash(first, after)

    led = both(old_size, size, whole=True)
    return led == (old_root, root) and next(waiting, None) is None


def _why(old: Head, new: Head) -> str:
    if old.epoch == new.epoch:
        return ""
    return f" The book was restored to an earlier moment in between (epoch {new.epoch})."
