"""Leaves: the canonical bytes of an entry and its journal (RFC 8785).

Numbers are the ledger's own. What a person's data may stand in enters as salted hashes, in three
parts: ``name``, the id under which the account was known when it was sealed; ``act``, who acted
under which key; ``text``, the application's own words. Each part can be withheld for good, by
forgetting its salt, and the proofs stand. ``nth`` counts an account's entries from one: a file that
leaves one out has a gap.

PostgreSQL writes the leaf as canonical JSON, with places for what it does not know: a million
entries are sealed at once after an import.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
import orjson

from app.infrastructure.db import Record

SALT_BYTES: Final = 16
# An act's salt, then a text's.
SALTS_BYTES: Final = 2 * SALT_BYTES

UNKNOWN: Final = "\x01"  # in a leaf of ``leaves.sql``: its four parts that SQL does not know
AT: Final = "\x02"  # in it: the instant of the entry's record

Hidden = Mapping[str, str | None]


class Leaf(msgspec.Struct, kw_only=False):
    """An entry and its journal; the members stand in the order of their names, as in the bytes."""

    account: int
    act: str
    amount: int
    credit: str
    debit: str
    debt_after: int
    effective_at: datetime
    entry: int
    event: str | None
    free_after: int
    held_after: int
    hold: int | None
    journal: int
    journal_effective_at: datetime
    journal_kind: str
    journal_recorded_at: datetime
    kind: str
    lot: int
    lot_priority: int
    lot_source: str
    name: str | None
    nth: int
    recorded_at: datetime
    reverses: int | None
    reverses_journal: int | None
    run: int | None
    source: str
    text: str | None


leaf_bytes: Final = msgspec.json.Encoder().encode
"""The canonical bytes of a leaf that was made here; those of the ledger are `leaf_of`."""

read: Final = msgspec.json.Decoder(Leaf).decode
"""The leaf of its bytes."""


class Erased(NamedTuple):
    """The hashes of an entry's hidden parts that were erased; None of one that stands."""

    act: str | None
    text: str | None


NOTHING_ERASED: Final = Erased(None, None)


def canonical(value: object) -> bytes:
    """The bytes of RFC 8785, of objects with ASCII names and no fractions."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_SORT_KEYS)


def salted(salt: bytes, value: object) -> str:
    """The hash of a text, which tells nothing to those who do not have its salt."""
    return sha256(salt + canonical(value)).hexdigest()


def act_of(row: Record) -> dict[str, str | None]:
    """The part of a row that says who acted."""
    return orjson.loads(row["act"])  # type: ignore[no-any-return]


def text_of(row: Record) -> dict[str, str | None] | None:
    """The part of a row in the application's own words; None where it says nothing."""
    return None if row["hidden"] is None else orjson.loads(row["hidden"])


def leaf_of_row(
    row: Record, salts: bytes, name: str | None, nth: int, erased: Erased = NOTHING_ERASED
) -> bytes:
    """Return the canonical bytes of a row of ``leaves.sql``; see ``leaf_of``."""
    told = (row["leaf"], row["at"], row["act"], row["hidden"])
    return leaf_of(*told, salts, name, nth, erased)


def leaf_of(
    leaf: str,
    at: str,
    act: str,
    hidden: str | None,
    salts: bytes,
    name: str | None,
    nth: int,
    erased: Erased = NOTHING_ERASED,
) -> bytes:
    """Return the canonical bytes of a leaf of ``leaves.sql``, filled with what SQL does not know.

    ``at``, ``act`` and ``hidden`` are as they stand beside it. ``salts`` are its two, ``name`` is
    the hash of its account's name, ``nth`` counts the account's entries from one.
    """
    hashed, text = erased
    if hashed is None:
        hashed = sha256(salts[:SALT_BYTES] + act.encode()).hexdigest()
    if text is None and hidden is not None:
        text = sha256(salts[SALT_BYTES:] + hidden.encode()).hexdigest()
    quoted = "null" if name is None else f'"{name}"'
    words = "null" if text is None else f'"{text}"'
    to_act, to_name, to_nth, to_text, end = leaf.replace(AT, at).split(UNKNOWN)
    return f"{to_act}{hashed}{to_name}{quoted}{to_nth}{nth}{to_text}{words}{end}".encode()
