"""Further books of one server, each an application of its own below `/books/NAME`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, cast

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.types import Receive, Scope, Send

PREFIX: Final = "/books/"
_BELOW: Final = "tallybook.below"


def serve(app: Litestar, books: Mapping[str, Litestar]) -> None:
    """Let the application answer for these books too, and open and close them with itself."""
    if not books:
        return
    own = app.asgi_handler

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        name, _, rest = scope["path"].removeprefix(PREFIX).partition("/")
        if scope["path"].startswith(PREFIX) and name in books:
            below = {_BELOW: f"{PREFIX}{name}"}
            inner = {**scope, "path": f"/{rest}", "raw_path": _below(scope, name), **below}
            await books[name](cast("Scope", inner), receive, send)
        else:
            await own(scope, receive, send)

    @asynccontextmanager
    async def open_all(_app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for other in books.values():
                await stack.enter_async_context(other.lifespan())
            yield

    app.asgi_handler = dispatch
    app._lifespan_managers.append(open_all)


def path_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The path that a further book's own paths are below; empty for the first book."""
    below: str = cast("Any", connection.scope).get(_BELOW, "")
    return below


def _below(scope: Any, name: str) -> bytes:
    """The path as it was sent, without the book's part; what spells that otherwise is no path."""
    raw: bytes = scope["raw_path"]
    prefix = f"{PREFIX}{name}".encode()
    return raw.removeprefix(prefix) if raw.startswith(prefix + b"/") else b""
