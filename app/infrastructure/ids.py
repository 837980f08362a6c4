"""Public ids: a prefix, then the row's number in sortable base 32 (Crockford)."""

from __future__ import annotations

import secrets
from typing import Final

# An account's id is the application's own: Auth0's `auth0|…`, plus addresses, UUIDs.
ACCOUNT_ID: Final = r"[A-Za-z0-9._:@|+=~-]{1,128}"
LABEL: Final = r"[A-Za-z0-9._:@|+=~/-]{1,128}"  # what an act was for, or who did it
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
DIGITS: Final = 13  # 13 times 5 bits hold every bigint; fixed width keeps ids in the rows' order
_PAIRS: Final = [one + other for one in ALPHABET for other in ALPHABET]
_VALUES: Final = {digit: value for value, digit in enumerate(ALPHABET)}
_ID_MAX: Final = 2**63 - 1

JOURNAL: Final = "jrn"
ENTRY: Final = "ent"
LOT: Final = "lot"
HOLD: Final = "hld"
RUN: Final = "run"
TRANSITION: Final = "trn"
REVERSAL: Final = "rev"
ACT: Final = "act"
ALERT: Final = "alr"
MESSAGE: Final = "msg"
VERIFICATION: Final = "ver"


def public(prefix: str, number: int) -> str:
    """``public("jrn", 42)`` reads ``jrn_000000000001a``."""
    # Two digits at a time: an export writes millions of ids.
    first = f"{prefix}_{ALPHABET[number >> 60]}{_PAIRS[number >> 50 & 1023]}"
    middle = f"{_PAIRS[number >> 40 & 1023]}{_PAIRS[number >> 30 & 1023]}"
    last = f"{_PAIRS[number >> 20 & 1023]}{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"
    return f"{first}{middle}{last}"


def number(prefix: str, text: str) -> int | None:
    """The row's number, or None where the text is no id of this prefix."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != DIGITS or any(digit not in _VALUES for digit in digits):
        return None
    value = 0
    for digit in digits:
        value = value * 32 + _VALUES[digit]
    return value if 0 < value <= _ID_MAX else None


def random_token(length: int) -> str:
    """A secret of ``length`` characters of the id alphabet, 5 bits each."""
    # One draw for all: secrets.choice for each character was a tenth of a request.
    return "".join(ALPHABET[byte % 32] for byte in secrets.token_bytes(length))
