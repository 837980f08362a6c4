"""Rows' numbers, a type for each kind, and public ids of them.

A public id is a prefix, then the row's number in sortable base 32 (Crockford). A number's type says
whose it is, so that mypy refuses a lot's where an account's is wanted::

    ids.public(ids.LOT, lot_number)       # "lot_000000000001a"
    ids.number(ids.JOURNAL, "jrn_000000000001a")  # JournalNumber(42)

Numbers get their type where they leave a row, whose columns mypy does not know.
"""

from __future__ import annotations

import secrets
from typing import Final, Generic, NewType, TypeVar, cast

# An account's id is the application's own: Auth0's `auth0|…`, plus addresses, UUIDs.
ACCOUNT_ID: Final = r"[A-Za-z0-9._:@|+=~-]{1,128}"
LABEL: Final = r"[A-Za-z0-9._:@|+=~/-]{1,128}"  # what an act was for, or who did it
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
DIGITS: Final = 13  # 13 times 5 bits hold every bigint; fixed width keeps ids in the rows' order
_PAIRS: Final = [one + other for one in ALPHABET for other in ALPHABET]
_VALUES: Final = {digit: value for value, digit in enumerate(ALPHABET)}
_ID_MAX: Final = 2**63 - 1
NO_ROW: Final = 0  # rows are numbered from 1

AccountNumber = NewType("AccountNumber", int)  # its public id is the application's
BackingNumber = NewType("BackingNumber", int)  # what money stands behind a lot; not public
JournalNumber = NewType("JournalNumber", int)
EntryNumber = NewType("EntryNumber", int)
LotNumber = NewType("LotNumber", int)
HoldNumber = NewType("HoldNumber", int)
RunNumber = NewType("RunNumber", int)
TransitionNumber = NewType("TransitionNumber", int)
ReversalNumber = NewType("ReversalNumber", int)
ActNumber = NewType("ActNumber", int)
AlertNumber = NewType("AlertNumber", int)
EndpointNumber = NewType("EndpointNumber", int)  # its public id is random
MessageNumber = NewType("MessageNumber", int)
VerificationNumber = NewType("VerificationNumber", int)

_Number = TypeVar("_Number", bound=int)


class Prefix(str, Generic[_Number]):
    """The prefix of the public ids of one kind."""

    __slots__ = ()


JOURNAL: Final = Prefix[JournalNumber]("jrn")
ENTRY: Final = Prefix[EntryNumber]("ent")
LOT: Final = Prefix[LotNumber]("lot")
HOLD: Final = Prefix[HoldNumber]("hld")
RUN: Final = Prefix[RunNumber]("run")
TRANSITION: Final = Prefix[TransitionNumber]("trn")
REVERSAL: Final = Prefix[ReversalNumber]("rev")
ACT: Final = Prefix[ActNumber]("act")
ALERT: Final = Prefix[AlertNumber]("alr")
MESSAGE: Final = Prefix[MessageNumber]("msg")
ERASED: Final = Prefix[AccountNumber]("erased")  # of an account whose id was a person's
VERIFICATION: Final = Prefix[VerificationNumber]("ver")


def public(prefix: Prefix[_Number], number: _Number) -> str:
    """``public(JOURNAL, JournalNumber(42))`` reads ``jrn_000000000001a``."""
    # Two digits at a time: an export writes millions of ids. To add a prefix is quicker than to
    # format it, since it is no plain str.
    first = prefix + f"_{ALPHABET[number >> 60]}{_PAIRS[number >> 50 & 1023]}"
    middle = f"{_PAIRS[number >> 40 & 1023]}{_PAIRS[number >> 30 & 1023]}"
    last = f"{_PAIRS[number >> 20 & 1023]}{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"
    return f"{first}{middle}{last}"


def number(prefix: Prefix[_Number], text: str) -> _Number | None:
    """The row's number, or None where the text is no id of this prefix."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != DIGITS or any(digit not in _VALUES for digit in digits):
        return None
    value = 0
    for digit in digits:
        value = value * 32 + _VALUES[digit]
    return cast(_Number, value) if 0 < value <= _ID_MAX else None


def row_number(prefix: Prefix[_Number], text: str) -> _Number:
    """The row's number, NO_ROW if the text is no id of this prefix: then nothing is found."""
    found = number(prefix, text)
    return cast(_Number, NO_ROW) if found is None else found


def random_token(length: int) -> str:
    """A secret of ``length`` characters of the id alphabet, 5 bits each."""
    # One draw for all: secrets.choice for each character was a tenth of a request.
    return "".join(ALPHABET[byte % 32] for byte in secrets.token_bytes(length))
