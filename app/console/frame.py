"""The frame of each page has the signed-in key, the menu, and the result of the last act."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from app.console.access import FORM_TOKEN, HOME, may_correct
from app.html.pages import page
from app.html.zones import PATH as ZONE_PATH
from app.html.zones import zone_of
from app.infrastructure.ids import random_token
from app.operators import sessions
from app.operators.keys import ApiKey, Keyring
from app.operators.sessions import Notice, Session
from app.web.http import books

NAV: Final = (
    (HOME, "Today"),
    (f"{HOME}/accounts", "Accounts"),
    (f"{HOME}/inbox", "Inbox"),
    (f"{HOME}/runs", "Runs"),
    (f"{HOME}/corrections", "Corrections"),
    (f"{HOME}/ledger", "Ledger"),
    (f"{HOME}/catalogue", "Catalogue"),
    (f"{HOME}/verify", "Verify"),
    (f"{HOME}/webhooks", "Webhooks out"),
    (f"{HOME}/keys", "Keys"),
)
OF_OPERATORS: Final = frozenset({f"{HOME}/webhooks"})  # auditors may not see them over HTTP either
_ACT_KEY_CHARS: Final = 26


def show(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    here: str | None = None,
    **context: Any,
) -> Response[str]:
    """A page of the console; ``here`` is the entry of the navigation that it belongs to."""
    state = request.scope["state"]
    session: Session | None = state.get("session")
    key: ApiKey | None = state.get("key")
    below = books.path_of(request)
    back = quote(below + local_address(request), safe="")
    shown = page(
        f"console/{template}",
        status=status,
        # Not no-referrer, by which browsers would not say where a form comes from.
        headers={"Referrer-Policy": "same-origin"},
        zone=reader_zone(request),
        zone_path=f"{ZONE_PATH}?back={back}",
        flash=session.notice if session else None,
        here=here,
        home=HOME,
        nav=_nav(key) if session else (),
        key=key,
        operator=key is not None and may_correct(key),
        form_token=session.form_token if session else "",
        token_field=FORM_TOKEN,
        actor_name=partial(actor_name, request),
        new_act_key=new_act_key,
        address=address,
        **context,
    )
    if below:
        # Of a further book: every address of the console is below the book's. No text of others
        # can have this in it, for its quotes are escaped.
        shown.content = shown.content.replace(f'"{HOME}', f'"{below}{HOME}')
    return shown


def lead(request: Request[Any, Any, Any], path: str, cookies: Iterable[Cookie] = ()) -> Redirect:
    """Lead to a page of this book's console."""
    return Redirect(books.path_of(request) + path, status_code=303, cookies=list(cookies))


def _nav(key: ApiKey | None) -> list[tuple[str, str]]:
    """The entries that the key may open."""
    operator = key is not None and may_correct(key)
    return [one for one in NAV if operator or one[0] not in OF_OPERATORS]


async def done(
    request: Request[Any, Any, Any], path: str, text: str, tone: str = "good"
) -> Redirect:
    """Lead to a page after an act, which says once what came of it."""
    session: Session = request.scope["state"]["session"]
    await sessions.say(request.app.state.book.database, session, Notice(text, tone))
    return lead(request, path)


def reader_zone(request: Request[Any, Any, Any]) -> ZoneInfo:
    """The zone in which this reader sees times."""
    return zone_of(request.cookies)


def actor_name(request: Request[Any, Any, Any], actor: str) -> str:
    """An actor as people know it: the name of a key, else what the ledger has."""
    keyring: Keyring = request.app.state.keyring
    return keyring.name_of(actor) or actor


def new_act_key() -> str:
    """An idempotency key for one form: sent twice, it acts once."""
    return f"console-{random_token(_ACT_KEY_CHARS)}"


def address(path: str, **query: object) -> str:
    """A path with a query of what is not None or empty; each part of the path is quoted."""
    given = [
        (name.rstrip("_"), str(value)) for name, value in query.items() if value not in (None, "")
    ]
    return quote(path, safe="/~@:+|=") + (f"?{urlencode(given)}" if given else "")


def local_address(request: Request[Any, Any, Any]) -> str:
    """The path and query of this request."""
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
    return f"{path}?{query}" if query else path
