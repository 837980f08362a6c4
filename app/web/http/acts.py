"""Members of the bodies of acts, and what every keyed act shares: its order, wait and answer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Final, TypeVar

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.params import JSONBody

from app.errors import KeyInFlightError
from app.ledger.idempotency import request_key
from app.ledger.kinds import AMOUNT_MAX
from app.operators.acts import Operator
from app.spending.keyed import Order
from app.web.http.access import caller
from app.web.http.patterns import ACCOUNT_ID, LABEL, WITHOUT_CONTROLS, WITHOUT_NUL

TEXT_CHARS_MAX: Final = 500
METADATA_KEYS_MAX: Final = 50
METADATA_KEY_CHARS_MAX: Final = 40
METADATA_VALUE_CHARS_MAX: Final = 500

Result = TypeVar("Result")
Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX, description="Whole credits.")]
Reason = Annotated[str, msgspec.Meta(pattern=WITHOUT_NUL, min_length=1, max_length=TEXT_CHARS_MAX)]
# As Stripe has it: what is kept is what came, to the character. app.web.http.openapi describes it.
Metadata = Annotated[
    dict[
        Annotated[
            str,
            msgspec.Meta(pattern=WITHOUT_CONTROLS, min_length=1, max_length=METADATA_KEY_CHARS_MAX),
        ],
        Annotated[str, msgspec.Meta(pattern=WITHOUT_CONTROLS, max_length=METADATA_VALUE_CHARS_MAX)],
    ],
    msgspec.Meta(
        max_length=METADATA_KEYS_MAX,
        description=f"At most {METADATA_KEYS_MAX} texts by name; a name has 1 to "
        f"{METADATA_KEY_CHARS_MAX} characters, a text up to {METADATA_VALUE_CHARS_MAX}, and no "
        "control characters.",
    ),
]
Label = Annotated[
    str,
    msgspec.Meta(
        pattern=LABEL,
        description="What it was for, such as a feature, a model or a job: reports are made by it.",
    ),
]
Member = Annotated[
    str,
    msgspec.Meta(pattern=LABEL, description="Who of the account's team it was: reports likewise."),
]


BodyAccountId = Annotated[str, msgspec.Meta(pattern=ACCOUNT_ID)]


class ReasonBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason of an operator's act."""

    reason: Reason


MaybeReason = JSONBody[ReasonBody | None]  # app.web.http.openapi says that it may be left out


class PurposeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The purpose for which credits were used."""

    reason: Reason | None = None
    metadata: Metadata | None = None
    label: Label | None = None
    member: Member | None = None


class NothingBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an act that needs none."""


def order(request: Request[Any, Any, Any], key: str, body: object) -> Order:
    """The caller, the key with the hash of the request, and what the body says of the act."""
    return Order(
        actor=caller(request).id,
        key=request_key(
            key, str(request.method), request.url.path, body, request.app.state.key_secret
        ),
        reason=getattr(body, "reason", None),
        metadata=getattr(body, "metadata", None),
        label=getattr(body, "label", None),
        member=getattr(body, "member", None),
    )


def operator(request: Request[Any, Any, Any], body: ReasonBody | None) -> Operator:
    """The caller as operator, with the reason if the body has one."""
    return Operator(actor=caller(request).id, reason=body.reason if body else None)


async def within_patience(act: Awaitable[Result]) -> Result:
    """Wait for an act under the same key, as long as the database's lock timeout allows."""
    try:
        return await act
    except (asyncpg.LockNotAvailableError, asyncpg.UniqueViolationError):
        raise KeyInFlightError(
            "A request under this Idempotency-Key is under way; try again with the same key."
        ) from None


def answered(answer: Result, replayed: bool, status: int) -> Response[Result]:
    """Build the response and mark a replay; the request's log line names the journal."""
    journal_id = getattr(answer, "journal_id", None) or getattr(answer, "id", None)
    structlog.contextvars.bind_contextvars(journal_id=journal_id)
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Response(answer, status_code=status, headers=headers)
