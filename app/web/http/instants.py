"""Instants on the wire: RFC 3339 in Z with microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

_LEAP_YEARS: Final = (
    r"(19(7[26]|8[048]|9[26])|([2-9][0-9])(0[48]|[2468][048]|[13579][26])"
    r"|(2[048]|3[26]|4[048]|5[26]|6[048]|7[26]|8[048]|9[26])00)"
)
# The years 1970 to 9999 and microseconds at most; all that the patterns let through is an instant.
_DATE: Final = (
    r"((19[7-9][0-9]|[2-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    rf"|{_LEAP_YEARS}-02-29)"
)
_TIME: Final = (
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
INSTANT_PATTERN: Final = rf"^{_DATE}{_TIME}\Z"
# In a query: a date alone is the first instant of that day in UTC.
MOMENT_PATTERN: Final = rf"^{_DATE}({_TIME})?\Z"
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
BodyInstant = Annotated[
    str, msgspec.Meta(pattern=INSTANT_PATTERN, extra_json_schema={"format": "date-time"})
]


def instant(moment: datetime) -> str:
    """``2026-01-31T00:00:00.000000Z``."""
    # A fiftieth of strftime's time, which was a third of what an entry cost to write.
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat('T', 'microseconds')[:-6]}Z"


def instant_or_none(moment: datetime | None) -> str | None:
    """As ``instant``; None, and what never comes (the year 9999), is None."""
    return None if moment is None or moment.year == 9999 else instant(moment)
