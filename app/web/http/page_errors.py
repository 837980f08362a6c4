"""Errors of pages as pages: the same statuses and words as the API's, and a way on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from litestar import Request, Response

from app.errors import PageLinkError
from app.html.pages import page
from app.html.zones import zone_of
from app.web.http import problems
from app.web.http.access import Access

_HEADINGS: Final = {
    400: "This cannot be read",
    403: "This is not allowed",
    404: "Nothing is here",
    408: "This came too slowly",
    409: "This does not fit what is there",
    410: "This link has ended",
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
    410: "Go back to where you found it, and open it from there again.",
    429: "Wait a moment, then load the page again.",
    500: "Try again; if it happens again, tell whoever runs this service.",
    502: "Try again in a minute.",
    503: "Try again in a moment.",
}
# What the API says of these is for its callers: names of settings, of prices, of Stripe's objects.
_TO_CUSTOMERS: Final = {
    400: "The address or the form holds something that cannot be read.",
    409: "This cannot be done for this account now.",
    422: "This cannot be done for this account.",
    500: "Something went wrong here.",
    502: "Stripe did not answer as it should.",
}


def problem_page(
    request: Request[Any, Any, Any],
    status: int,
    heading: str,
    detail: str,
    *,
    template: str = "problem.html",
    remedy: str | None = None,
    ways: tuple[tuple[str, str], ...] = (),
    **more: Any,
) -> Response[str]:
    """A page that says what went wrong and what to do next; ``more`` reaches `page`."""
    return page(
        template,
        status=status,
        heading=heading,
        detail=detail,
        remedy=_REMEDIES.get(status) if remedy is None else remedy,
        ways=ways,
        zone=zone_of(request.cookies),
        **more,
    )


def _framed(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """A customer's page tells its errors in the frame that it stands in, and without our mark."""
    origins = request.app.state.settings.page_origins
    return {"template": "customer/problem.html", "frame_ancestors": origins}


def _as_page(told: Callable[[Any, Any], Response[dict[str, object]]]) -> Any:
    def shown(request: Request[Any, Any, Any], error: Any) -> Response[str]:
        problem = told(request, error)
        body = problem.content
        status = problem.status_code or 500
        remedy = _REMEDIES.get(status)
        to_customer = request.route_handler.opt.get("access") is Access.LINK
        heading = _HEADINGS.get(status, str(body["title"]))
        detail = str(body["detail"])
        if body["code"] == PageLinkError.code:
            heading, remedy = "This link does not work", _REMEDIES[410]
        if to_customer:
            detail = _TO_CUSTOMERS.get(status, detail)
        if body["code"] == "not_found":
            detail = "Nothing is shown at this address."
        return problem_page(
            request,
            status,
            heading,
            detail,
            remedy=remedy,
            headers=problem.headers,
            **(_framed(request) if to_customer else {}),
        )

    return shown


# For a page's handler: `**PAGE` beside `**access(…)`.
PAGE: Final[dict[str, Any]] = {
    "media_type": "text/html",
    "exception_handlers": {kind: _as_page(one) for kind, one in problems.HANDLERS.items()},
}
