"""Leaves: the canonical bytes of an entry and its journal (RFC 8785).

Numbers are the ledger's own. What a person's data may stand in enters as salted hashes, in three
parts: ``name``, the id under which the account was known when it was sealed; ``act``, who acted
under which key; ``text``, the application's own words. Each part can be withheld for good, by
forgetting its salt, and the proofs stand. ``nth`` counts an account's entries from one: a file that
leaves one out has a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from app.infrastructure.db import Record

SALT_BYTES: Final = 16
# An act's salt, then a text's.
SALTS_BYTES: Final = 2 * SALT_BYTES
ACT: Final = ("actor", "idempotency_key", "request_hash")
TEXT: Final = ("label", "member", "metadata", "reason")
_NOTHING_SAID: Final = dict.fromkeys(TEXT)

_OPTIONS: Final = orjson.OPT_UTC_Z

Leaf = dict[str, Any]
Hidden = Mapping[str, str | None]


class Erased(NamedTuple):
    """The hashes of an entry's hidden parts that were erased; None of one that stands."""

    act: str | None
    text: str | None


NOTHING_ERASED: Final = Erased(None, None)


def canonical(value: object) -> bytes:
    """The bytes of RFC 8785, of objects with ASCII names and no fractions."""
    return orjson.dumps(value, option=_OPTIONS | orjson.OPT_SORT_KEYS)


def leaf_bytes(leaf: Leaf) -> bytes:
    """The canonical bytes of a leaf; its members stand in their order already."""
    return orjson.dumps(leaf, option=_OPTIONS)


def salted(salt: bytes, value: object) -> str:
    """The hash of a text, which tells nothing to those who do not have its salt."""
    return sha256(salt + canonical(value)).hexdigest()


def act_of(row: Record) -> Hidden:
    """The part of a row that says who acted."""
    return {name: row[name] for name in ACT}


def text_of(row: Record) -> Hidden | None:
    """The part of a row in the application's own words; None where it says nothing."""
    told = {name: row[name] for name in TEXT}
    return told if any(value is not None for value in told.values()) else None


def leaf_of(
    row: Record, salts: bytes, name: str | None, nth: int, erased: Erased = NOTHING_ERASED
) -> Leaf:
    """The leaf of a row of ``leaves.sql``.

    ``salts`` are its two; ``name`` is the hash of its account's name. 4 us: a million entries are
    sealed at once after an import.
    """
    leaf = dict(row)
    # Both hidden parts have their members in order already.
    act = {hidden: leaf.pop(hidden) for hidden in ACT}
    text = {hidden: leaf.pop(hidden) for hidden in TEXT}
    leaf["act"] = erased.act or sha256(salts[:SALT_BYTES] + orjson.dumps(act)).hexdigest()
    leaf["name"], leaf["nth"] = name, nth
    if erased.text is not None:
        leaf["text"] = erased.text
    elif text != _NOTHING_SAID:
        leaf["text"] = sha256(salts[SALT_BYTES:] + orjson.dumps(text)).hexdigest()
    return leaf
