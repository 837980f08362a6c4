"""Receipts of single entries: COSE receipts over the log's root (RFC 9942).

A seal's root is signed once as COSE wants it; a receipt puts the entry's inclusion proof beside
that signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.seals.notes import Signer, key_id

_SIGN1_TAG: Final = 18
_ALGORITHM, _KEY_ID, _VDS, _VDP = 1, 4, 395, 396
_EDDSA: Final = -8
_RFC9162_SHA256: Final = 1
_INCLUSION: Final = -1


def sign_root(root: bytes, signer: Signer) -> bytes:
    """The protected header and the signature over a root, as one CBOR array."""
    protected = encode(
        {
            _ALGORITHM: _EDDSA,
            _KEY_ID: key_id(signer.name, signer.public_key),
            _VDS: _RFC9162_SHA256,
        }
    )
    signed = encode(["Signature1", protected, b"", root])
    return encode([protected, signer.key.sign(signed)])


def receipt(signed_root: bytes, size: int, index: int, path: Sequence[bytes]) -> bytes:
    """The receipt of the leaf at an index in the tree of this size, whose root was signed."""
    protected, signature = _parts(signed_root)
    proof = encode([size, index, list(path)])
    unprotected = {_VDP: {_INCLUSION: [proof]}}
    return _head(6, _SIGN1_TAG) + encode([protected, unprotected, None, signature])


def _parts(signed_root: bytes) -> tuple[bytes, bytes]:
    """The two byte strings of `sign_root`: a header of less than 24 bytes, a signature of 64."""
    length = signed_root[1] & 0x1F
    return signed_root[2 : 2 + length], signed_root[-64:]


def encode(value: object) -> bytes:
    """The deterministic CBOR of integers, byte strings, texts, arrays, maps and null (RFC 8949)."""
    match value:
        case None:
            return b"\xf6"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(encode, value))
        case Mapping():
            pairs = sorted(encode(key) + encode(one) for key, one in value.items())
            return _head(5, len(value)) + b"".join(pairs)
    raise TypeError(f"{type(value).__name__} has no place in a receipt.")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * width):
            return bytes([major << 5 | info]) + number.to_bytes(width)
    raise ValueError(f"{number} is too large for CBOR.")
