"""Signing secrets, derived from the pepper and a salt: the database holds none.

A copy of the database, a backup or a replica is not enough to sign anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook

SALT_BYTES: Final = 32
_PREFIX: Final = "whsec_"  # the form of Standard Webhooks


def new_salt() -> bytes:
    """Return a random salt: an endpoint that is deleted and made again gets another secret."""
    return secrets.token_bytes(SALT_BYTES)


def secret_of(pepper: str, salt: bytes) -> str:
    """Return the secret in the receiver's form, `whsec_…`."""
    key = hmac.digest(pepper.encode(), b"tallybook webhooks\0" + salt, hashlib.sha256)
    return _PREFIX + base64.b64encode(key).decode()


def signatures(
    pepper: str, salts: Sequence[bytes], message_id: str, at: datetime, body: bytes
) -> str:
    """Return the `webhook-signature` header, with one signature for each valid secret."""
    text = body.decode()
    return " ".join(
        Webhook(secret_of(pepper, salt)).sign(msg_id=message_id, timestamp=at, data=text)
        for salt in salts
    )
