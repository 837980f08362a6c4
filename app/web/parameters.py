"""The parameters that several routes share, bounded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from litestar.params import HeaderParameter, PathParameter, QueryParameter

from app import ids
from app.audit.entries import PAGE_SIZE_MAX
from app.errors import InvalidRequestError
from app.web.instants import INSTANT_PATTERN

# Each ends in `\Z`: Python's `$` lets a line end through. The description has the `$` of ECMA.
ACCOUNT_ID: Final = r"^[A-Za-z0-9._:@-]{1,128}\Z"
STRIPE_ID: Final = r"^[\x21-\x7e]{1,255}\Z"
KEY: Final = r"^[\x20-\x7e]{1,255}\Z"


def id_pattern(prefix: str) -> str:
    """What our own ids of this kind look like."""
    return rf"^{prefix}_[{ids.ALPHABET}]{{{ids.DIGITS}}}\Z"


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
    QueryParameter(
        pattern=r"^[A-Za-z0-9_-]{1,512}\Z", description="`next_cursor` of the page before."
    ),
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
