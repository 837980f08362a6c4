"""Errors of pages as pages: the same statuses and words as the API's, and a way on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from litestar import Request, Response

from app.html.pages import page
from app.html.zones import zone_of
from app.web.http import problems

_HEADINGS: Final = {
    400: "This cannot be read",
    403: "This is not allowed",
    404: "Nothing is here",
    408: "This came too slowly",
    409: "This does not fit what is there",
    413: "This is too large",
    422: "This is refused",
    500: "A fault of ours",
    502: "Stripe failed",
    503: "Not just now",
}
_REMEDIES: Final = {
    400: "Go back and send it again.",
    403: "Go back to the page and try from there.",
    404: "The address may be wrong, or what it showed is gone.",
    429: "Wait a moment, then load the page again.",
    500: "Try again; if it happens again, tell whoever runs this service.",
    502: "Try again in a minute.",
    503: "Try again in a moment.",
}


def problem_page(
    request: Request[Any, Any, Any],
    status: int,
    heading: str,
    detail: str,
    *,
    remedy: str | None = None,
    ways: tuple[tuple[str, str], ...] = (),
    **more: Any,
) -> Response[str]:
    """A page that says what went wrong and what to do next; ``more`` reaches `page`."""
    return page(
        "problem.html",
        status=status,
        heading=heading,
        detail=detail,
        remedy=_REMEDIES.get(status) if remedy is None else remedy,
        ways=ways,
        zone=zone_of(request.cookies),
        **more,
    )


def _as_page(told: Callable[[Any, Any], Response[dict[str, object]]]) -> Any:
    def shown(request: Request[Any, Any, Any], error: Any) -> Response[str]:
        problem = told(request, error)
        body = problem.content
        heading = _HEADINGS.get(problem.status_code or 500, str(body["title"]))
        detail = str(body["detail"])
        if body["code"] == "not_found":
            detail = "Nothing is shown at this address."
        return problem_page(
            request, problem.status_code or 500, heading, detail, headers=problem.headers
        )

    return shown


# For a page's handler: `**PAGE` beside `**access(…)`.
PAGE: Final[dict[str, Any]] = {
    "media_type": "text/html",
    "exception_handlers": {kind: _as_page(one) for kind, one in problems.HANDLERS.items()},
}
