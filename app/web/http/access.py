"""Access: every route declares it, one guard enforces it, and no start is made without."""

from __future__ import annotations

import hmac
import inspect
import re
from enum import StrEnum
from functools import cache, partial
from typing import Any, Final

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute

from app.accounts import page_links
from app.accounts.page_links import PageLink
from app.errors import (
    ConfigurationError,
    ForbiddenError,
    InvalidRequestError,
    PageLinkError,
    UnauthenticatedError,
)
from app.infrastructure.settings import Settings
from app.operators.keys import ApiKey, Keyring, Scope
from app.web.http import rate_limits


class Access(StrEnum):
    """A route's demand on its caller."""

    OPEN = "open"
    SIGNATURE = "signature"
    CRON = "cron"
    LINK = "link"
    SERVICE = "service"
    SPENDING = "spending"
    SPENDING_READ = "spending_read"
    AUDITOR = "auditor"
    SERVICE_OR_AUDITOR = "service_or_auditor"
    ACCOUNTS_READ = "accounts_read"
    OPERATOR = "operator"
    ANY_KEY = "any_key"
    # Of the console, whose own guard judges the session (app/console/access.py).
    SESSION_AUDITOR = "session_auditor"
    SESSION_OPERATOR = "session_operator"


# Each lets in a key that holds one of these scopes; operator implies them all.
SCOPES: Final = {
    Access.SERVICE: (Scope.SERVICE,),
    Access.SPENDING: (Scope.SERVICE, Scope.SPEND),
    Access.SPENDING_READ: (Scope.SERVICE, Scope.SPEND, Scope.AUDITOR),
    Access.AUDITOR: (Scope.AUDITOR,),
    Access.SERVICE_OR_AUDITOR: (Scope.SERVICE, Scope.AUDITOR),
    Access.ACCOUNTS_READ: (Scope.SERVICE, Scope.READ, Scope.AUDITOR),
    Access.OPERATOR: (Scope.OPERATOR,),
    Access.ANY_KEY: tuple(Scope),
}
_GIVEN_ONCE: Final = frozenset({b"authorization", b"idempotency-key", b"stripe-signature"})
ANY_KEY: Final = {"access": Access.ANY_KEY}  # for a router that is not ours
OPEN_SECURITY: Final[list[dict[str, list[str]]]] = [{}]
KEY_SECURITY: Final[list[dict[str, list[str]]]] = [{"apiKey": []}]
CRON_SECURITY: Final[list[dict[str, list[str]]]] = [{"cronSecret": []}]


def access(wanted: Access, *, slash: bool = False, deep: bool = False) -> dict[str, Any]:
    """Declare a handler's access: the keyword arguments for its decorator.

    A page that people type declares ``slash``: its path may end in one, to be led to the other.
    ``deep`` is for a path whose last part may have slashes in it.
    """
    security = OPEN_SECURITY
    if wanted in SCOPES:
        security = KEY_SECURITY
    elif wanted is Access.CRON:
        security = CRON_SECURITY
    return {"opt": {"access": wanted, "slash": slash, "deep": deep}, "security": security}


def needed(wanted: Access) -> str:
    """Say in a sentence of the description what a caller must send."""
    if wanted in SCOPES:
        *others, last = (f"`{one}`" for one in dict.fromkeys((*SCOPES[wanted], Scope.OPERATOR)))
        scopes = f"{', '.join(others)} or {last}" if others else last
        return f"Needs a key with the scope {scopes}."
    return {
        Access.SIGNATURE: "Needs no key: Stripe signs the body.",
        Access.LINK: "Needs no key: the path holds a signed link.",
        Access.CRON: "Needs the `CRON_SECRET` as bearer token.",
    }.get(wanted, "Needs no key.")


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Check the caller against the route's declared access, and that nothing is said twice."""
    _check_path(connection, handler)
    _check_headers(connection)
    wanted = handler.opt.get("access")
    if wanted in SCOPES:
        await _check_key(connection, SCOPES[wanted])
    elif wanted is Access.CRON:
        await _check_cron(connection)
    elif wanted is Access.LINK:
        await _check_link(connection)
    _check_query_names(connection, handler)


async def _check_key(
    connection: ASGIConnection[Any, Any, Any, Any], scopes: tuple[Scope, ...]
) -> None:
    # A tool's call of this route is part of one request, whose key was judged and counted.
    key = connection.scope["state"].get("key") or await _counted_key(connection)
    if not key.allows(scopes):
        wanted = " or ".join(scopes)
        raise ForbiddenError(f"This call needs a key with the scope {wanted}.", needed=wanted)
    connection.scope["state"]["key"] = key


async def _counted_key(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiKey:
    keyring: Keyring = connection.app.state.keyring
    try:
        key = await keyring.check(_bearer(connection), rate_limits.caller_ip(connection))
    except UnauthenticatedError:
        await rate_limits.of_address(connection)
        raise
    await rate_limits.of_key(connection, key.id)
    return key


async def _check_cron(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    settings: Settings = connection.app.state.settings
    try:
        given = _bearer(connection).encode()
        if settings.cron_secret is None:
            raise UnauthenticatedError("CRON_SECRET is not set; the worker's tick grants.")
        if not hmac.compare_digest(given, settings.cron_secret.encode()):
            raise UnauthenticatedError("This is not the CRON_SECRET.")
    except UnauthenticatedError:
        await rate_limits.of_address(connection)
        raise


async def _check_link(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    settings: Settings = connection.app.state.settings
    try:
        link = page_links.read(settings.key_pepper, connection.path_params["token"])
    except PageLinkError:
        await rate_limits.of_address(connection)
        raise
    await rate_limits.of_page(connection, f"{link.number}-{link.opened_us}")
    connection.scope["state"]["page_link"] = link


def page_link(connection: ASGIConnection[Any, Any, Any, Any]) -> PageLink:
    """The link that the guard let in; whether it has ended is not judged yet."""
    link: PageLink = connection.scope["state"]["page_link"]
    return link


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    # Litestar's own headers are a dictionary of all of them: a fiftieth of a request.
    headers = connection.scope["headers"]
    given = next((value for name, value in headers if name == b"authorization"), b"")
    kind, _, token = given.decode("latin-1").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise UnauthenticatedError("Send Authorization: Bearer with a key or secret.")
    return token.strip()


def _check_path(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse any other spelling of a path: Litestar takes `/metrics/`, `//` and `/%6Detrics` too.

    A proxy's rule that keeps `/metrics` inside knows nothing of those. Ids may be written with
    escapes: clients differ in what they escape.
    """
    raw = connection.scope.get("raw_path", b"")
    declared = str(connection.scope["path_template"])
    slash, deep = (bool(handler.opt.get(name)) for name in ("slash", "deep"))
    if not _spelling(declared, slash, deep).fullmatch(raw):
        raise NotFoundException


@cache
def _spelling(template: str, may_end_in_slash: bool, deep: bool) -> re.Pattern[bytes]:
    """The one spelling of a route's paths; a ``deep`` one ends in several parts, none escaped."""
    parts = ["[^/]*" if part.startswith("{") else re.escape(part) for part in template.split("/")]
    if deep:
        parts[-1] = "[^/%]+(?:/[^/%]+)*"
    ending = "/?" if may_end_in_slash and "{" not in template else ""
    return re.compile(f"{'/'.join(parts)}{ending}".encode())


def _check_headers(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Reject repeated credential headers: readers disagree on which one counts."""
    given = [name for name, _ in connection.scope["headers"] if name in _GIVEN_ONCE]
    if len(given) > 1 and len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1).decode()
        raise InvalidRequestError(f"The header {twice.title()} is given more than once.")


def _check_query_names(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Reject unknown and repeated names: a misspelt filter must not widen a list."""
    if not connection.scope["query_string"] or not isinstance(handler, HTTPRouteHandler):
        return
    declared = _query_names(handler)
    given = [name for name, _ in connection.query_params.multi_items()]
    for name in given:
        if name not in declared:
            raise InvalidRequestError(f"There is no query parameter {name!r} here.")
        if given.count(name) > 1:
            raise InvalidRequestError(f"The query parameter {name!r} is given more than once.")


@cache
def _query_names(handler: HTTPRouteHandler) -> frozenset[str]:
    """The names as they are sent: `from` is no name in Python and has an alias.

    A page that reads its query whole, since browsers send empty fields too, declares its names.
    """
    read_whole: frozenset[str] = handler.opt.get("query", frozenset())
    return read_whole | frozenset(
        field.kwarg_definition.name or name
        for name, field in handler.parsed_fn_signature.parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    )


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiKey:
    """The key that the guard let in."""
    key: ApiKey = connection.scope["state"]["key"]
    return key


def require_declared(app: Litestar) -> None:
    """Refuse to start if a route declares no access."""
    silent = [
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and not isinstance(handler.opt.get("access"), Access)
    ]
    if silent:
        raise ConfigurationError(f"These routes declare no access: {', '.join(silent)}.")


def guard_as_they_are(app: Litestar) -> None:
    """Give guards their handler itself: Litestar makes a copy of it for each request.

    That was a tenth of what an account's answer cost, and no guard of ours changes a handler.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, _ in route.route_handler_map.values():
                if not hasattr(handler, "__dict__"):  # one of Litestar's, for OPTIONS
                    continue
                handler.authorize_connection = partial(_authorize, handler)  # type: ignore[method-assign]


async def _authorize(
    handler: BaseRouteHandler, connection: ASGIConnection[Any, Any, Any, Any]
) -> None:
    for one in handler.resolve_guards():
        await one(connection, handler)  # type: ignore[misc]


def tell_all_methods(app: Litestar) -> None:
    """Let OPTIONS name every method of a path; Litestar names those of its first handler."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            handler, _ = route.route_handler_map["OPTIONS"]
            # What answers closes over the route as it was before the second handler joined it.
            inspect.getclosurevars(handler.fn).nonlocals["self"].methods = route.methods
