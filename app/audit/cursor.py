"""Pages of lists, and the opaque keyset cursors between them.

A cursor is bound to the list and the filters that it was made for.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Generic, cast

import msgspec

from app.errors import InvalidCursorError
from app.infrastructure.sql import Row_co

_DIGEST_BYTES = 8
PAST_EVERY_NUMBER: Final = 2**63 - 1


class Page(msgspec.Struct, Generic[Row_co], frozen=True):
    """Some rows, and the cursor to the next page; None at the end."""

    rows: Sequence[Row_co]
    next_cursor: str | None


def page(rows: Sequence[Row_co], limit: int, query: object, key: str = "id") -> Page[Row_co]:
    """Return a page of at most ``limit`` rows; the caller read one more than that."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = cast("Mapping[str, object]", rows[limit - 1])
    return Page(rows[:limit], encode(str(last[key]), query))


def encode(last: str, query: object) -> str:
    """Return a cursor that continues after the row with the key ``last``."""
    raw = _digest(query) + last.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(cursor: str, query: object) -> str:
    """Return the key to continue after; raise InvalidCursorError if the query was another."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        last = raw[_DIGEST_BYTES:].decode()
    except ValueError:
        raise InvalidCursorError("The cursor was not made by this list.") from None
    if raw[:_DIGEST_BYTES] != _digest(query) or not last.isprintable():
        raise InvalidCursorError(
            "The cursor belongs to a list with other filters or another order."
        )
    return last


def decode_number(cursor: str | None, query: object, start: int = 0) -> int:
    """Return the number to continue after; ``start`` without a cursor."""
    if cursor is None:
        return start
    last = decode(cursor, query)
    if not (last.isascii() and last.isdigit() and len(last) < 19):
        raise InvalidCursorError("The cursor is not one of ours.")
    return int(last)


def _digest(query: object) -> bytes:
    return hashlib.sha256(msgspec.json.encode(query)).digest()[:_DIGEST_BYTES]
