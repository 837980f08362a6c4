"""Access to pages and acts: the session's key, judged at each request, and forms of our own.

An act is a POST of a form that this session was given: it carries the session's form token, and its
browser says that it came from a page of this server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from app.errors import ForbiddenError, TallybookError, UnauthenticatedError
from app.infrastructure.settings import Settings
from app.operators import sessions
from app.operators.keys import ApiKey, Keyring, Scope
from app.operators.sessions import Session
from app.web.http import books, rate_limits
from app.web.http.access import Access, access
from app.web.http.forms import over_https

HOME: Final = "/console"
SIGN_IN: Final = f"{HOME}/sign-in"
FORM_TOKEN: Final = "form_token"  # noqa: S105 - a field's name
_SCOPES: Final = {
    Access.SESSION_AUDITOR: (Scope.AUDITOR,),
    Access.SESSION_OPERATOR: (Scope.OPERATOR,),
}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD"})


class SignInError(UnauthenticatedError):
    """Nobody is signed in, or not any more."""


class ForeignFormError(ForbiddenError):
    """A form that was not made for this session, or did not come from a page of this server."""


def reads(names: Iterable[str] = ()) -> dict[str, Any]:
    """Declare a page that auditors may see, and the names of its query."""
    return _declared(Access.SESSION_AUDITOR, names)


def corrects(names: Iterable[str] = ()) -> dict[str, Any]:
    """Declare a page or an act of operators."""
    return _declared(Access.SESSION_OPERATOR, names)


def opens(names: Iterable[str] = ()) -> dict[str, Any]:
    """Declare a page that nobody needs to be signed in for."""
    return _declared(Access.OPEN, names)


def _declared(wanted: Access, names: Iterable[str]) -> dict[str, Any]:
    declared = access(wanted, slash=True)
    declared["opt"]["query"] = frozenset(names)
    return {**declared, "include_in_schema": False}


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in who is signed in with a key of the page's scope, and with acts only its own forms."""
    assert isinstance(connection, Request)
    wanted = handler.opt["access"]
    acts = connection.method not in _SAFE
    if acts:
        require_own_page(connection)
    if wanted not in _SCOPES:
        return
    session, key = await signed_in(connection)
    connection.scope["state"]["session"] = session
    connection.scope["state"]["key"] = key
    if acts:
        form = await connection.form()
        given = form.get(FORM_TOKEN)
        if not isinstance(given, str) or not session.is_form_token(given):
            raise ForeignFormError("This form is not of your present session.")
    if not key.allows(_SCOPES[wanted]):
        scope = " or ".join(_SCOPES[wanted])
        raise ForbiddenError(
            f"You are signed in with the key {key.name!r}, which has no {scope} scope.",
            needed=scope,
        )


async def signed_in(request: Request[Any, Any, Any]) -> tuple[Session, ApiKey]:
    """The session of this request, and its key as it stands now; raises SignInError.

    A key that is not good any more ends its session.
    """
    token = request.cookies.get(cookie_name(request), "")
    session = await sessions.find(request.app.state.book.database, token) if token else None
    if session is None:
        raise SignInError("Nobody is signed in here, or the session has ended.")
    keyring: Keyring = request.app.state.keyring
    try:
        key = await keyring.still_good(session.key_id, rate_limits.caller_ip(request))
    except TallybookError as error:
        await sessions.end(request.app.state.book.database, token)
        raise SignInError(f"The session has ended: {error.detail}") from None
    await rate_limits.of_key(request, key.id)
    return session, key


def require_own_page(request: Request[Any, Any, Any]) -> None:
    """Refuse a form that another site's page sent; raises ForeignFormError.

    Browsers say where a form comes from. What is no browser says nothing, and has no session of
    somebody else's to abuse.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise ForeignFormError("This form was sent by a page of another site.")
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForeignFormError("This form was sent by a page of another site.")


def may_read(key: ApiKey) -> bool:
    """Return whether the key may see anything here."""
    return key.allows((Scope.AUDITOR,))


def may_correct(key: ApiKey) -> bool:
    """Return whether the key may do anything here."""
    return key.allows((Scope.OPERATOR,))


def cookie_name(request: Request[Any, Any, Any]) -> str:
    """The session cookie's name; by the prefix browsers take it over TLS alone."""
    return f"__Secure-{_NAME}" if is_secure(request) else _NAME


_NAME: Final = "tallybook_session"


def session_cookie(request: Request[Any, Any, Any], token: str | None) -> Cookie:
    """The cookie that keeps the session until the browser closes; None takes it away.

    Lax, so that a link in an alert's mail opens: no GET here does anything.
    """
    lax: Literal["lax"] = "lax"
    return Cookie(
        key=cookie_name(request),
        value=token or "",
        path=books.path_of(request) + HOME,
        max_age=None if token else 0,
        httponly=True,
        secure=is_secure(request),
        samesite=lax,
    )


def is_secure(request: Request[Any, Any, Any]) -> bool:
    """Return whether browsers reach this server by TLS, as they must in production.

    On this machine's own addresses they may not, as through a tunnel of ssh.
    """
    if over_https(request):
        return True
    settings: Settings = request.app.state.settings
    if settings.environment == "development":
        return False
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    return host not in _LOOPBACK
