"""Opaque keyset cursors, bound to the list and the filters they were made for."""

from __future__ import annotations

import base64
import hashlib

import msgspec

from app.errors import InvalidCursorError

_DIGEST_BYTES = 8


def encode(last: str, query: object) -> str:
    """A cursor that goes on after the row whose key is ``last``."""
    raw = _digest(query) + last.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(cursor: str, query: object) -> str:
    """The key to go on after; InvalidCursorError where it was made for another query."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        last = raw[_DIGEST_BYTES:].decode()
    except ValueError:
        raise InvalidCursorError("The cursor is not one of ours.") from None
    if raw[:_DIGEST_BYTES] != _digest(query) or not last.isprintable():
        raise InvalidCursorError(
            "The cursor belongs to a list with other filters or another order."
        )
    return last


def decode_number(cursor: str, query: object) -> int:
    """The same for lists whose key is a number."""
    last = decode(cursor, query)
    if not (last.isascii() and last.isdigit() and len(last) < 19):
        raise InvalidCursorError("The cursor is not one of ours.")
    return int(last)


def _digest(query: object) -> bytes:
    return hashlib.sha256(msgspec.json.encode(query)).digest()[:_DIGEST_BYTES]
