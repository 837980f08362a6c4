"""Patterns of texts, and the words that tell a caller what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import inspect

from app.infrastructure import ids
from app.outgoing.endpoints import ENDPOINT_ID as ENDPOINT_ID_CHARACTERS
from app.web.http.instants import INSTANT_PATTERN, MOMENT_PATTERN

# Each ends in `\Z`: Python's `$` lets a line end through. The description has the `$` of ECMA.
ACCOUNT_ID: Final = rf"^{ids.ACCOUNT_ID}\Z"
LABEL: Final = rf"^{ids.LABEL}\Z"
REFERENCE: Final = r"^[A-Za-z0-9._:@|+=~/-]{1,100}\Z"
STRIPE_ID: Final = r"^[\x21-\x7e]{1,255}\Z"
KEY: Final = r"^[\x20-\x7e]{1,255}\Z"
MONTH: Final = r"^[2-8][0-9]{3}-(0[1-9]|1[0-2])\Z"
CURSOR: Final = r"^[A-Za-z0-9_-]{1,512}\Z"
EVENT_TYPE: Final = r"^[A-Za-z0-9_.]{1,128}\Z"
ENDPOINT_ID: Final = rf"^{ENDPOINT_ID_CHARACTERS}\Z"
# PostgreSQL keeps no NUL.
WITHOUT_NUL: Final = r"^[^\x00]*\Z"
WITHOUT_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
TIER: Final = r"^[A-Z][A-Z0-9_]{0,31}\Z"
# Some of what a usage report can tell apart.
_BY: Final = "(day|tier|label|member|account)"
BY: Final = rf"^{_BY}(,{_BY}){{0,4}}\Z"
# No user or password before the host: such an address is made to deceive.
PAGE_URL: Final = r"^https?://[A-Za-z0-9.:\[\]-]+([/?#][\x21-\x7e]*)?\Z"


def id_pattern(prefix: str) -> str:
    """The pattern of our own ids with this prefix."""
    return rf"^{prefix}_[{ids.ALPHABET}]{{{ids.DIGITS}}}\Z"


_PREFIXES: Final[tuple[ids.Prefix[Any], ...]] = (
    *(ids.JOURNAL, ids.LOT, ids.HOLD),
    *(ids.RUN, ids.REVERSAL, ids.MESSAGE),
    ids.VERIFICATION,
)
_MEANINGS: Final = {
    ACCOUNT_ID: "1 to 128 of the characters A-Z a-z 0-9 . _ : @ | + = ~ - (in a query + is %2B)",
    LABEL: "1 to 128 of the characters A-Z a-z 0-9 . _ : @ | + = ~ / - (in a query + is %2B)",
    REFERENCE: "1 to 100 of the characters A-Z a-z 0-9 . _ : @ | + = ~ / -",
    STRIPE_ID: "an id of Stripe's: 1 to 255 visible ASCII characters",
    KEY: "1 to 255 printable ASCII characters",
    MONTH: "a month, such as 2026-01",
    CURSOR: "the `next_cursor` of a page",
    ENDPOINT_ID: "1 to 64 of the characters A-Z a-z 0-9 . _ ~ -",
    EVENT_TYPE: "a type of Stripe's events, such as invoice.paid",
    WITHOUT_NUL: "a text without NUL characters",
    WITHOUT_CONTROLS: "a text without control characters",
    TIER: "a tier's name: capitals, digits and _, such as PRO",
    BY: "some of day, tier, label, member, account, with commas between",
    PAGE_URL: "an http or https address without a user in it",
    MOMENT_PATTERN: "a date or an RFC 3339 instant, such as 2026-01-31T00:00:00Z (in a query + is "
    "%2B)",
    INSTANT_PATTERN: "an RFC 3339 instant, such as 2026-01-31T00:00:00Z (in a query + is %2B)",
    **{id_pattern(prefix): f"an id such as {ids.public(prefix, 42)}" for prefix in _PREFIXES},
}


_NOT_LISTED: Final = re.compile(r"^Invalid enum value (?P<sent>.*?)(?: - at `\$(?P<place>.*)`)?$")
_STEP: Final = re.compile(r"\.(\w+)|\[")


def in_words(message: str, kind: Any) -> str:
    """Put msgspec's message on a value of this type into words, without patterns."""
    for pattern, meaning in _MEANINGS.items():
        message = message.replace(f"`str` matching regex {pattern!r}", meaning)
    refused = _NOT_LISTED.match(message)
    if refused is None:
        return message
    listed = _listed(inspect.type_info(kind), _STEP.findall(refused["place"] or ""))
    where = f" - at `${refused['place']}`" if refused["place"] else ""
    return f"{refused['sent']} is none of {', '.join(map(str, listed))}{where}"


def _listed(kind: inspect.Type, place: list[str]) -> Iterator[object]:
    """Yield the closed list of values that stands at this place of a type."""
    if isinstance(kind, inspect.Metadata):
        yield from _listed(kind.type, place)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _listed(one, place)
    elif isinstance(kind, inspect.LiteralType) and not place:
        yield from kind.values
    elif isinstance(kind, inspect.EnumType) and not place:
        yield from (one.value for one in kind.cls)
    elif isinstance(kind, inspect.StructType) and place:
        for field in kind.fields:
            if field.encode_name == place[0]:
                yield from _listed(field.type, place[1:])
    elif isinstance(kind, inspect.ListType) and place:
        yield from _listed(kind.item_type, place[1:])
