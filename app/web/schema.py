"""The OpenAPI description as JSON, as a page to read and try, and the way to it from `/`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from app.html import assets
from app.web.http import books, openapi_page
from app.web.http.access import Access, access
from app.web.http.openapi import describe

PAGE: Final = "/schema"
CONSOLE: Final = "/console"
_UNDESCRIBED: Final[dict[str, Any]] = {
    "include_in_schema": False,
    "sync_to_thread": False,
    **access(Access.OPEN),
}
_HTML: Final = "text/html"


@get("/", **_UNDESCRIBED)
def get_root(request: Request[Any, Any, Any]) -> Redirect:
    """Lead a browser to the console; to any other caller nothing is served here."""
    if "text/html" not in request.headers.get("accept", ""):
        raise NotFoundException
    return Redirect(books.path_of(request) + CONSOLE)


@get("/schema/openapi.json", media_type="application/json", **_UNDESCRIBED)
def get_openapi_json(state: State) -> Response[bytes]:
    """The description."""
    return Response(state.openapi_json, media_type="application/json")


@get(PAGE, media_type="text/html", **{**_UNDESCRIBED, **access(Access.OPEN, slash=True)})
def get_openapi_page(request: Request[Any, Any, Any], state: State) -> Response[bytes] | Redirect:
    """The description as a page that loads nothing from elsewhere."""
    if request.scope["raw_path"].endswith(b"/"):
        return Redirect(PAGE)
    policy = {"Content-Security-Policy": openapi_page.CONTENT_SECURITY_POLICY}
    return Response(state.openapi_page, media_type=_HTML, headers=policy)


@get(f"{PAGE}/{openapi_page.BUNDLE.name}", media_type="text/javascript", **_UNDESCRIBED)
def get_openapi_bundle(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The page's script; its name holds its version, so that it may be kept."""
    return assets.answer(openapi_page.bundle(), request.headers.get("accept-encoding", ""))


def published(routes: Sequence[ControllerRouterHandler], version: str) -> dict[str, bytes]:
    """The bytes that the routes serve, as members of the application's state."""
    return _published(tuple(routes), version)


@cache  # 0.3 s: half of what an application takes to make
def _published(routes: tuple[ControllerRouterHandler, ...], version: str) -> dict[str, bytes]:
    described = describe(routes, version)
    return {
        "openapi_json": msgspec.json.encode(described),
        "openapi_page": openapi_page.page(described).encode(),
    }
