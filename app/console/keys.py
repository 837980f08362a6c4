"""API keys: who has which, when each was used last; made and revoked by operators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import PathParameter

from app.console import forms
from app.console.access import HOME, corrects, reads
from app.console.frame import done, reader_zone, show
from app.errors import KeyUnknownError, RefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.operators import keys as api_keys
from app.operators import sessions
from app.operators.acts import Operator, OperatorAct, record
from app.operators.keys import Scope
from app.operators.sessions import Session
from app.web.http.forms import form
from app.web.http.patterns import WITHOUT_CONTROLS

if TYPE_CHECKING:
    from app.console import row_types


PATH: Final = f"{HOME}/keys"
ROWS_MAX: Final = 500
_SQL: Final[row_types.KeysSql] = sql.beside(__file__)
KeyId = Annotated[str, PathParameter(pattern=r"^[0-9a-z]{10}\Z")]


class KeyForm(forms.ActForm, frozen=True, kw_only=True):
    """The form of a new key: its holder, and its scopes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=WITHOUT_CONTROLS)]
    expires_at: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    service: bool = False
    read: bool = False
    spend: bool = False
    auditor: bool = False


@get(PATH, **reads())
async def keys(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Every key, the newest first."""
    database: Database = state.book.database
    session: Session = request.scope["state"]["session"]
    return show(
        request,
        "keys.html",
        here=PATH,
        rows=await database.fetch(_SQL["listed"](limit=ROWS_MAX)),
        now=datetime.now(UTC),
        sessions=await sessions.count(database, session.key_id),
        own_id=session.key_id,
    )


@post(PATH, status_code=200, **corrects())
async def create(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Make a key for an application or an auditor, and show it this once."""
    act = await form(request, KeyForm)
    scopes = [scope for scope in Scope if getattr(act, scope, False)]
    if not scopes:
        raise RefusedError("Tick what the key may do.")
    expires_at = forms.instant(act.expires_at, reader_zone(request), "expires_at")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise RefusedError("The key would have expired already.")
    database: Database = state.book.database
    session: Session = request.scope["state"]["session"]
    # Of the session's secret and the form's key: sent twice, the form makes and shows one key.
    seed = f"{session.token} {act.act_key}"

    async def make(by: Operator) -> None:
        token = await api_keys.add(
            database, state.settings.key_pepper, act.name, scopes, expires_at, seed
        )
        subject = f"key {api_keys.id_of(token)}"
        await record(database, OperatorAct.KEY_CREATED, by, subject=subject)

    await forms.once(request, act, make)
    return show(
        request,
        "secret.html",
        here=PATH,
        heading=f"The key of {act.name}",
        secret=api_keys.seeded(state.settings.key_pepper, seed),
        told="It is sent as Authorization: Bearer, and is not shown again.",
        back=PATH,
    )


@post(f"{PATH}/{{key_id:str}}/revoke", status_code=200, **corrects())
async def revoke(key_id: KeyId, request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Revoke a key for good, and end its sessions."""
    act = await form(request, forms.ActForm)
    database: Database = state.book.database

    async def take_back(by: Operator) -> bool:
        if not await api_keys.take_back(database, key_id):
            raise KeyUnknownError(f"No good key has the id {key_id}.")
        await sessions.end_all(database, key_id)
        await record(database, OperatorAct.KEY_REVOKED, by, subject=f"key {key_id}")
        return True

    await forms.once(request, act, take_back)
    return await done(request, PATH, f"{key_id} is revoked; servers refuse it within 2 s.")
