"""Instants on the wire: RFC 3339 in Z with microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

INSTANT_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}(Z|[+-][0-9]{2}:[0-9]{2})$"
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


def instant(moment: datetime) -> str:
    """``2026-01-31T00:00:00.000000Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def maybe(moment: datetime | None) -> str | None:
    """The same, None staying None; what never comes (the year 9999) is None too."""
    return None if moment is None or moment.year == 9999 else instant(moment)
