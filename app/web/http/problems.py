"""Errors as application/problem+json: the one place that knows HTTP statuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import ParameterKwarg

from app import errors
from app.errors import TallybookError
from app.web.http.instants import instant
from app.web.http.patterns import in_words

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

# The nearest ancestor in the error tree decides.
_STATUS: Final[Mapping[type[TallybookError], int]] = {
    errors.InvalidRequestError: 400,
    errors.SlowBodyError: 408,
    errors.SignatureRefusedError: 400,
    errors.PayloadRefusedError: 400,
    errors.UnauthenticatedError: 401,
    errors.InsufficientCreditsError: 402,
    errors.ForbiddenError: 403,
    errors.UnknownThingError: 404,
    errors.ConflictError: 409,
    errors.PageLinkExpiredError: 410,
    errors.RefusedError: 422,
    errors.RateLimitedError: 429,
    errors.StripeFailedError: 502,
    errors.BusyError: 503,
    errors.TallybookError: 500,
}

HEADINGS: Final = {
    400: "The request is not what the schema says",
    401: "No good API key",
    402: "Not enough credits",
    403: "The key may not do this",
    404: "There is no such thing",
    405: "The method is not allowed here",
    408: "The body came too slowly",
    409: "The state of things forbids it",
    410: "This is over",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "Well formed, but refused",
    429: "Too many calls",
    500: "A fault of ours",
    502: "Stripe failed",
    503: "Try again",
}
# Codes of answers that no TallybookError stands behind.
_CODES: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    500: "internal",
    503: "unavailable",
}

DATABASE_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A server that shuts down says so to idle connections too. The driver refuses a statement after
    # that word, and sends nothing.
    asyncpg.InternalClientError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.QueryCanceledError,
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.DeadlockDetectedError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    ConnectionError,
    asyncio.TimeoutError,
)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457, with a stable code; further members tell the facts."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool


class InsufficientCreditsProblem(Problem, frozen=True, kw_only=True):
    """Fewer credits are available than required; more come at ``next_grant_at``."""

    available: int
    required: int
    next_grant_at: str | None


def declared(*statuses: int) -> dict[int, ResponseSpec]:
    """These error answers, for a handler's OpenAPI description; 500 and 503 go without saying.

    So does 429 where a key is asked for: the only routes that tell of a wrong scope, by 403; and
    408 where a body is read, which may be too large (413) and may come too slowly.
    """
    unsaid = {500, 503}
    unsaid |= {429} if 403 in statuses else set()
    unsaid |= {408} if 413 in statuses else set()
    return {
        status: ResponseSpec(
            data_container=InsufficientCreditsProblem if status == 402 else Problem,
            description=HEADINGS[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted({*statuses, *unsaid})
    }


def response(
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    facts: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, object]]:
    """A problem answer."""
    body = {
        **{name: _fact(value) for name, value in (facts or {}).items()},
        "type": f"urn:tallybook:problem:{code}",
        "title": HEADINGS.get(status, "Refused"),
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
    }
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _fact(value: object) -> object:
    return instant(value) if isinstance(value, datetime) else value


def status_of(error: TallybookError) -> int:
    """The HTTP status of an error of our tree."""
    return status_of_kind(type(error))


def status_of_kind(error: type[TallybookError]) -> int:
    """The HTTP status of a kind of them: its nearest ancestor's."""
    return next(_STATUS[kind] for kind in error.__mro__ if kind in _STATUS)


def of_tallybook(
    _request: Request[Any, Any, Any], error: TallybookError
) -> Response[dict[str, object]]:
    """Answer an error of our own tree."""
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="tallybook"'
    if error.retryable:
        headers["Retry-After"] = str(error.facts.get("retry_after_s", 1))
    return response(
        status,
        error.code,
        error.detail,
        retryable=error.retryable,
        facts=error.facts,
        headers=headers,
    )


def of_validation(
    request: Request[Any, Any, Any], error: ValidationException
) -> Response[dict[str, object]]:
    """Answer a path, query or header parameter that the schema refuses."""
    extra = error.extra if isinstance(error.extra, list) else []
    told = [_told(request, item.get("key", "?"), item.get("message", "?")) for item in extra]
    return response(400, "invalid_request", "; ".join(told) or error.detail)


def _told(request: Request[Any, Any, Any], key: str, message: str) -> str:
    if key == "data":  # a body that is refused is told by app.web.http.body; here there was none
        return "The body is missing: send JSON with Content-Type: application/json."
    field = request.route_handler.parsed_fn_signature.parameters.get(key)
    defined = field.kwarg_definition if field else None
    # A parameter has its name as it is sent, where Python has another for it.
    sent = (isinstance(defined, ParameterKwarg) and defined.name) or key
    return f"{sent}: {in_words(message, field.raw if field else object)}"


def of_http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, object]]:
    """Answer Litestar's own errors: no route, no such method, a body too large."""
    code = _CODES.get(error.status_code, "invalid_request")
    headers = dict(error.headers or {})
    told = {
        404: "Nothing is served at this path; /schema lists what is.",
        405: f"This path takes {headers.get('allow', 'other methods')}.",
    }
    detail = told.get(error.status_code, error.detail)
    return response(error.status_code, code, detail, headers=headers)


def of_database(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, object]]:
    """Answer for a database that is away or too slow; nothing was acknowledged."""
    log.warning("database_away", error=type(error).__name__, detail=str(error))
    return response(
        503,
        "unavailable",
        "The database did not answer in time; try again with the same key.",
        retryable=True,
        headers={"Retry-After": "1"},
    )


def of_fault(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, object]]:
    """Answer anything else: a fault of ours, which the log tells and the answer does not."""
    log.exception("fault", exc_info=error)
    return response(500, "internal", "A fault of ours; it is in the log.")


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    TallybookError: of_tallybook,
    ValidationException: of_validation,
    HTTPException: of_http,
    **dict.fromkeys(DATABASE_AWAY, of_database),
    Exception: of_fault,
}
