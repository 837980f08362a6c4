"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

A checkpoint is a text that anybody can read::

    books.example.com
    1234
    <root of the log, base64>
    balances <hash of the balances' root>
    totals accounts=17 free=340 held=5 debt=0
    ...

    — books.example.com <base64 of four bytes that name the key, and the signature>

A key is named as Go's note tools write it: ``name+hash+key``; a private one begins with
``PRIVATE+KEY+``. The cryptography is a library's.
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PublicFormat
from cryptography.hazmat.primitives.serialization import PrivateFormat as Private

from app.errors import ConfigurationError

ED25519: Final = b"\x01"
COSIGNATURE: Final = b"\x04"
_KEY_ID_BYTES: Final = 4
_SIGNED: Final = "\n\n— "


class Signer(NamedTuple):
    """A private key under a name."""

    name: str
    key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of its public key."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def told(self) -> str:
        """The public key as verifiers want it: ``name+hash+key``."""
        return verifier_key(self.name, self.public_key)


def new_private_key(name: str) -> str:
    """A new private key under a name."""
    key = Ed25519PrivateKey.generate()
    seed = key.private_bytes(Encoding.Raw, Private.Raw, NoEncryption())
    shown = key_id(name, Signer(name, key).public_key).hex()
    return f"PRIVATE+KEY+{name}+{shown}+{base64.b64encode(ED25519 + seed).decode()}"


@cache
def signer(text: str) -> Signer:
    """Read a private key; raises ConfigurationError, which never shows it."""
    try:
        private, word, name, shown, encoded = text.strip().split("+", 4)
        kind_and_seed = base64.b64decode(encoded, validate=True)
        one = Signer(name, Ed25519PrivateKey.from_private_bytes(kind_and_seed[1:]))
    except (ValueError, binascii.Error):
        private, word, shown, kind_and_seed, one = "", "", "", b"", None
    good = one and (private, word, kind_and_seed[:1]) == ("PRIVATE", "KEY", ED25519)
    if not one or not good or key_id(one.name, one.public_key).hex() != shown:
        raise ConfigurationError(
            "TALLYBOOK_SEAL_KEY holds no private key: `tallybook seal key NAME` makes one."
        ) from None
    return one


def key_id(name: str, public_key: bytes, kind: bytes = ED25519) -> bytes:
    """The four bytes by which a signature's line names its key."""
    return sha256(name.encode() + b"\n" + kind + public_key).digest()[:_KEY_ID_BYTES]


def verifier_key(name: str, public_key: bytes, kind: bytes = ED25519) -> str:
    """A public key under a name, in one line."""
    encoded = base64.b64encode(kind + public_key).decode()
    return f"{name}+{key_id(name, public_key, kind).hex()}+{encoded}"


def sign(text: str, signers: tuple[Signer, ...]) -> str:
    """The note of a text, which ends in a line end, with a signature of each key."""
    lines = [
        _line(one.name, key_id(one.name, one.public_key) + one.key.sign(text.encode()))
        for one in signers
    ]
    return f"{text}\n{''.join(lines)}"


def split(note: str) -> tuple[str, list[str]]:
    """The text of a note, and the lines of its signatures; raises ValueError."""
    text, marked, signatures = note.rpartition(_SIGNED)
    first = note.find(_SIGNED)
    if not marked or not note.endswith("\n"):
        raise ValueError("This is no signed note.")
    text, signatures = note[:first], note[first + 2 :]
    return f"{text}\n", signatures.splitlines()


def cosigner(text: str, line: str, witness_key: str) -> int | None:
    """The instant, in Unix seconds, at which a witness cosigned a checkpoint; None if it did not.

    ``text`` is the checkpoint's without signatures, ``line`` what the witness answered.
    """
    name, _, encoded_key = witness_key.split("+", 2)
    public_key = base64.b64decode(encoded_key)[1:]
    dash, said_name, encoded = line.split(" ", 2)
    told = base64.b64decode(encoded)
    named = key_id(name, public_key, COSIGNATURE)
    if (dash, said_name, told[:_KEY_ID_BYTES]) != ("—", name, named):
        return None
    at = int.from_bytes(told[_KEY_ID_BYTES : _KEY_ID_BYTES + 8])
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            told[_KEY_ID_BYTES + 8 :], f"cosignature/v1\ntime {at}\n{text}".encode()
        )
    except InvalidSignature:
        return None
    return at


def _line(name: str, signature: bytes) -> str:
    return f"— {name} {base64.b64encode(signature).decode()}\n"
