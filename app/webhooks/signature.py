"""Stripe's webhook signatures: verified over the raw body, and made for the simulator."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

from app.errors import SignatureRefusedError

TOLERANCE_S: Final = 300
HEADER_CHARS_MAX: Final = 4_096  # a rolling secret makes it 150; this leaves room for 60

# Stripe signs the digits as sent. Leading zeros, signs, spaces and the digits of other scripts,
# which int() would take, are no spelling of its.
_UNIX_SECONDS: Final = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


class SignatureError(SignatureRefusedError):
    """The header does not prove that Stripe sent this body just now."""


def verify(payload: bytes, header: str | None, secrets: Sequence[str], now_unix: int) -> None:
    """Raise SignatureError, and nothing else, unless one secret signed this body within 300 s.

    While a secret rolls the header carries one v1 for each secret, and either side may know
    only one of them: every pair is tried.
    """
    # Not the SDK's verify_header: on hostile headers it raises UnicodeDecodeError and TypeError
    # too, and it takes timestamps from the future. A guard around it would need a bare except,
    # which hides our own faults; these lines have one way to fail. The SDK is the peer in tests.
    timestamp, signatures = _read(header)
    if abs(now_unix - int(timestamp)) > TOLERANCE_S:
        raise SignatureError(f"The signature's time is more than {TOLERANCE_S} s from ours.")
    # An empty secret is one that everybody knows.
    expected = [_digest(payload, timestamp, secret) for secret in secrets if secret.strip()]
    if not expected:
        raise SignatureError("No webhook secret is configured.")
    if not any(hmac.compare_digest(one, other) for one in expected for other in signatures):
        raise SignatureError("No signature in the header fits the body.")


def sign(payload: bytes, secret: str, at_unix: int) -> str:
    """The Stripe-Signature header for this body."""
    return f"t={at_unix},v1={_digest(payload, str(at_unix), secret)}"


def _read(header: str | None) -> tuple[str, list[str]]:
    """The timestamp's digits and the v1 values; other schemes are passed over."""
    if not header:
        raise SignatureError("The Stripe-Signature header is missing.")
    # compare_digest refuses text that is not ASCII with a TypeError.
    if len(header) > HEADER_CHARS_MAX or not header.isascii():
        raise SignatureError("The Stripe-Signature header is too long or not ASCII.")
    items = [item.partition("=") for item in header.split(",")]
    timestamps = [value for key, _, value in items if key == "t"]
    if len(timestamps) != 1 or not _UNIX_SECONDS.fullmatch(timestamps[0]):
        raise SignatureError("The Stripe-Signature header has no single time.")
    signatures = [value for key, _, value in items if key == "v1"]
    if not signatures:
        raise SignatureError("The Stripe-Signature header has no v1 signature.")
    return timestamps[0], signatures


def _digest(payload: bytes, timestamp: str, secret: str) -> str:
    # Over the bytes as they came: decoding first would fail on a body that is not UTF-8.
    signed = b"%s.%s" % (timestamp.encode("ascii"), payload)
    return hmac.digest(secret.encode(), signed, "sha256").hex()
