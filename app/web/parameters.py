"""The parameters that several routes share, bounded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar.params import HeaderParameter, PathParameter, QueryParameter

from app.audit.entries import PAGE_SIZE_MAX
from app.errors import InvalidRequestError
from app.web.instants import INSTANT_PATTERN
from app.web.patterns import ACCOUNT_ID, CURSOR, KEY, STRIPE_ID

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
        description="One act, one key: a replay returns the first answer, for ever.",
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
        pattern=INSTANT_PATTERN,
        description="An RFC 3339 instant, such as 2026-01-31T00:00:00Z.",
    ),
]


def moment(text: str | None, name: str) -> datetime | None:
    """The instant, or InvalidRequestError."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        if not 1970 <= parsed.year <= 9000:
            raise ValueError
    except ValueError:
        raise InvalidRequestError(f"{name}: {text!r} is no RFC 3339 instant.") from None
    return parsed
