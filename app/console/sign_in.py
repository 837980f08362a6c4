"""Sign in with a key, and out again: here or everywhere that the key is signed in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import State

from app.console import forms
from app.console.access import (
    HOME,
    SIGN_IN,
    SignInError,
    cookie_name,
    may_read,
    opens,
    reads,
    session_cookie,
    signed_in,
)
from app.console.frame import lead, show
from app.errors import ForbiddenError, TallybookError, UnauthenticatedError
from app.html.zones import local_path
from app.operators import sessions
from app.operators.keys import ApiKey
from app.operators.sessions import Session
from app.web.http import rate_limits
from app.web.http.forms import form

FOR_APPLICATIONS = (
    "This key is for applications. The console takes one with the scope auditor or operator: "
    "`tallybook keys create NAME --scope auditor` makes one."
)


class SignInForm(forms.Form, frozen=True, kw_only=True):
    """The key, and the page that was asked for."""

    key: str = ""
    next: str = HOME


@get(SIGN_IN, **opens(("next",)))
async def sign_in_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """The form; who is signed in goes on."""
    then = _then(forms.query(request, SignInForm).next)
    try:
        await signed_in(request)
    except SignInError:
        return _form(request, then)
    return lead(request, then)


@post(SIGN_IN, status_code=200, **opens())
async def sign_in(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Begin a session for a good key; a wrong one counts against the address, as over HTTP."""
    sent = await form(request, SignInForm)
    then = _then(sent.next)
    try:
        key = await _key(request, state, sent.key)
    except UnauthenticatedError as error:
        return _form(request, then, 401, error.detail)
    except ForbiddenError as error:
        return _form(request, then, 403, error.detail)
    # Who signs in again leaves no session behind that nobody has the cookie of.
    await sessions.end(state.book.database, request.cookies.get(cookie_name(request), ""))
    token = await sessions.begin(state.book.database, key.id)
    return lead(request, then, [session_cookie(request, token)])


@post(f"{HOME}/sign-out", status_code=200, **reads())
async def sign_out(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """End this session."""
    session: Session = request.scope["state"]["session"]
    await sessions.end(state.book.database, session.token)
    return _signed_out(request)


@post(f"{HOME}/sign-out-everywhere", status_code=200, **reads())
async def sign_out_everywhere(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """End every session of this key."""
    session: Session = request.scope["state"]["session"]
    await sessions.end_all(state.book.database, session.key_id)
    return _signed_out(request)


async def _key(request: Request[Any, Any, Any], state: State, token: str) -> ApiKey:
    try:
        key: ApiKey = await state.keyring.check(token, rate_limits.caller_ip(request))
    except TallybookError:
        await rate_limits.of_address(request)
        raise
    await rate_limits.of_key(request, key.id)
    if not may_read(key):
        raise ForbiddenError(FOR_APPLICATIONS)
    return key


def _signed_out(request: Request[Any, Any, Any]) -> Response[Any]:
    return lead(request, SIGN_IN, [session_cookie(request, None)])


def _then(path: str) -> str:
    """The page that was asked for, if it is one of the console."""
    local = local_path(path)
    return local if f"{local.partition('?')[0]}/".startswith(f"{HOME}/") else HOME


def _form(
    request: Request[Any, Any, Any], then: str, status: int = 200, error: str | None = None
) -> Response[Any]:
    return show(request, "sign_in.html", status=status, then=then, error=error)
