"""One log line for each request, under an id that the answer carries."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import structlog
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.infrastructure import logs, traces
from app.infrastructure.ids import random_token
from app.infrastructure.metrics import Metrics
from app.web.http import rate_limits

# Probes and scrapes come every few seconds and tell nothing.
QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
)

_SECURITY_NAMES: Final = frozenset(name for name, _ in SECURITY_HEADERS)


def request_log(app: ASGIApp, state: State) -> ASGIApp:
    """Wrap the application; its state holds the metrics that count the requests."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = _request_id(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                start = cast("dict[str, Any]", message)
                status = start["status"]
                start["headers"] = [
                    *_with_security(start["headers"]),
                    *rate_limits.headers(scope),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            if traces.are_made():
                told: dict[str, Any] = {"http.request.method": scope["method"]}
                told["request_id"] = request_id
                with traces.request(_headers(scope), told):
                    try:
                        await app(scope, receive, sending)
                    finally:
                        told |= {"http.route": _route(scope), "http.response.status_code": status}
            else:
                await app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - started
            route = _route(scope)
            counts: Metrics = state.metrics
            counts.request(route, scope["method"], status, seconds)
            if scope["path"] not in QUIET_PATHS:
                _line(scope, route, status, seconds)

    return logged


def _with_security(
    headers: Sequence[tuple[bytes, bytes]],
) -> Iterable[tuple[bytes, bytes]]:
    """The answer's headers, and each of ours that the handler did not set otherwise.

    X-Frame-Options knows no list of origins: a page that names some by its policy goes without.
    """
    stated = {name.lower() for name, _ in headers}
    if stated.isdisjoint(_SECURITY_NAMES):  # most answers
        return (*headers, *SECURITY_HEADERS)
    for name, value in headers:
        if name.lower() == b"content-security-policy" and b"frame-ancestors 'none'" not in value:
            stated.add(b"x-frame-options")
    return (*headers, *(one for one in SECURITY_HEADERS if one[0] not in stated))


def _route(scope: Any) -> str:
    """The template: a path holds the user's id."""
    return str(scope.get("path_template") or "-")


def _headers(scope: Any) -> dict[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {
        name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in wanted
    }


def _request_id(scope: Any) -> str:
    """The caller's own, so that both logs tell one story, where it is short and plain."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return random_token(16)


def _line(scope: Any, route: str, status: int, seconds: float) -> None:
    key = scope.get("state", {}).get("key")
    logs.frequent(
        "request",
        method=scope["method"],
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        key_id=key.id if key else None,
    )
