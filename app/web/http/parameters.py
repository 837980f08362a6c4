"""Parameters that several routes share, bounded, and how their texts are read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeVar

from litestar.params import HeaderParameter, PathParameter, QueryParameter

from app.audit.entries import PAGE_SIZE_MAX
from app.errors import InvalidRequestError
from app.infrastructure import ids
from app.web.http.instants import MOMENT_PATTERN
from app.web.http.patterns import ACCOUNT_ID, CURSOR, KEY, LABEL, STRIPE_ID, id_pattern

_Number = TypeVar("_Number", bound=int)

AccountId = Annotated[
    str,
    PathParameter(pattern=ACCOUNT_ID, description="The application's or the Stripe customer's id."),
]
EventId = Annotated[str, PathParameter(pattern=STRIPE_ID)]
IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=KEY,
        min_length=1,
        max_length=255,
        description="One act, one key: a replay returns the first answer, without end.",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_SIZE_MAX, description="Rows of one page.")]
Cursor = Annotated[
    str | None,
    QueryParameter(pattern=CURSOR, description="`next_cursor` of the page before."),
]
At = Annotated[
    str | None,
    QueryParameter(
        pattern=MOMENT_PATTERN,
        description="An RFC 3339 instant; a date alone is midnight in UTC: 2026-01-31.",
    ),
]
AccountFilter = Annotated[str | None, QueryParameter(pattern=ACCOUNT_ID)]
JournalFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.JOURNAL))]
RunFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.RUN))]
LotFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.LOT))]
HoldFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.HOLD))]
EventFilter = Annotated[str | None, QueryParameter(pattern=STRIPE_ID)]

KeyFilter = Annotated[str | None, QueryParameter(pattern=KEY)]
LabelFilter = Annotated[str | None, QueryParameter(pattern=LABEL, description="What it was for.")]
MemberFilter = Annotated[str | None, QueryParameter(pattern=LABEL, description="Who did it.")]


def parse_instant(text: str, name: str) -> datetime:
    """The instant that a parameter or member of this name holds; raises InvalidRequestError.

    A date alone is its first instant in UTC. What lies past the last instant that Python knows, by
    its offset, is that last one.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(f"{name}: {text!r} is no RFC 3339 instant.") from None
    if parsed.tzinfo is None:
        return parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def instant_if_given(text: str | None, name: str) -> datetime | None:
    """The instant, None for None; raises InvalidRequestError."""
    return None if text is None else parse_instant(text, name)


def row_number(prefix: ids.Prefix[_Number], text: str | None) -> _Number | None:
    """A filter's row number: None filters nothing, a well-formed id of nothing lists nothing."""
    return None if text is None else ids.row_number(prefix, text)
