"""Errors as pages: a sentence, and the remedy."""

from __future__ import annotations

from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from app.console.access import HOME, SIGN_IN, ForeignFormError, SignInError
from app.console.frame import address, lead, local_address, show
from app.errors import TallybookError
from app.web.http.problems import DATABASE_AWAY, HEADINGS, status_of

log = structlog.get_logger(__name__)

# By the code of the error, or else by its status.
_REMEDIES: Final = {
    "account_unknown": "Look among the accounts: a customer's or subscription's id finds one, too.",
    "insufficient_credits": "Take fewer, or give the account credits first.",
    "beyond_horizon": "Ask for an earlier instant: up to there the ledger is complete.",
    "not_reversible": "Look at what the journal did, and correct by an adjustment if need be.",
    "shortfall": "Choose another policy: to write the rest off, or to let the account owe it.",
    "run_date": "Only a day that is running somewhere can be opened.",
    "idempotency_key_reused": "This form was sent before with other content. Open it again.",
    "idempotency_key_in_flight": "It was sent twice; look in a moment whether it was done.",
    "rate_limited": "Wait for a minute.",
    "busy": "Try again in a moment.",
    "account_closed": "Reopen the account first.",
    "configuration": "Correct it at the machine, and start the server again.",
}
_BY_STATUS: Final = {
    400: "Correct it and send it again.",
    404: "Look at how the address is written, or begin from today's page.",
    403: "Sign in with a key that may.",
    500: "The server's log tells which fault; its line has the id of this request.",
    503: "Nothing was changed. Try again in a moment.",
}


def of_sign_in(request: Request[Any, Any, Any], error: SignInError) -> Response[Any]:
    """Lead to the form, and back from there; an act that was sent is not done."""
    if request.method == "GET":
        return lead(request, address(SIGN_IN, next=local_address(request)))
    return _page(
        request,
        401,
        error.detail,
        "Nothing was changed. Sign in and send the form again.",
        [(SIGN_IN, "Sign in")],
    )


def of_foreign_form(request: Request[Any, Any, Any], error: ForeignFormError) -> Response[Any]:
    """A form of another session or another site."""
    return _page(request, 403, error.detail, "Open the page again and send the form from there.")


def of_tallybook(request: Request[Any, Any, Any], error: TallybookError) -> Response[Any]:
    """An error of our own tree."""
    status = status_of(error)
    remedy = _REMEDIES.get(error.code) or _BY_STATUS.get(status)
    response = _page(request, status, error.detail, remedy)
    if error.retryable:
        response.headers["Retry-After"] = str(error.facts.get("retry_after_s", 1))
    return response


def of_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's own: no such page, no such method, a form too large."""
    told = {
        404: "There is no such page.",
        405: "This address takes no such request.",
        413: "What was sent is too large.",
    }
    status = error.status_code
    return _page(request, status, told.get(status, error.detail), _BY_STATUS.get(status))


def of_validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """A path that no id of ours reads like."""
    return _page(request, 404, "There is no such page: the id in it is none.", _BY_STATUS[404])


def of_database(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A database that is away or too slow."""
    log.warning("database_away", error=type(error).__name__, detail=str(error))
    return _page(request, 503, "The database did not answer in time.", _BY_STATUS[503])


def of_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Anything else: a fault of ours."""
    log.exception("fault", exc_info=error)
    return _page(request, 500, "A fault of ours; it is in the log.", _BY_STATUS[500])


def _page(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    remedy: str | None,
    ways: list[tuple[str, str]] | None = None,
) -> Response[Any]:
    return show(
        request,
        "problem.html",
        status=status,
        heading=HEADINGS.get(status, "Refused"),
        detail=detail,
        remedy=remedy,
        ways=ways or [(HOME, "Today")],
    )


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    SignInError: of_sign_in,
    ForeignFormError: of_foreign_form,
    TallybookError: of_tallybook,
    ValidationException: of_validation,
    HTTPException: of_http,
    **dict.fromkeys(DATABASE_AWAY, of_database),
    Exception: of_fault,
}
