"""The OpenAPI description as JSON, and as a page that works offline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from app.web.http import openapi_page
from app.web.http.access import Access, access
from app.web.http.openapi import describe


@get(
    "/schema/openapi.json",
    media_type="application/json",
    include_in_schema=False,
    sync_to_thread=False,
    **access(Access.OPEN),
)
def get_openapi_json(state: State) -> Response[bytes]:
    """The description."""
    return Response(state.openapi_json, media_type="application/json")


@get(
    "/schema",
    media_type="text/html",
    include_in_schema=False,
    sync_to_thread=False,
    **access(Access.OPEN),
)
def get_openapi_page(state: State) -> Response[bytes]:
    """The description as a page that loads nothing from elsewhere."""
    return Response(state.openapi_page, media_type="text/html; charset=utf-8")


def published(routes: Sequence[ControllerRouterHandler], version: str) -> dict[str, bytes]:
    """What the two routes serve, as members of the application's state."""
    return _published(tuple(routes), version)


@cache  # 0.3 s: half of what an application takes to make
def _published(routes: tuple[ControllerRouterHandler, ...], version: str) -> dict[str, bytes]:
    described = describe(routes, version)
    return {
        "openapi_json": msgspec.json.encode(described),
        "openapi_page": openapi_page.page(described).encode(),
    }
