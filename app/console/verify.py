"""Verify: every number computed again, one verification at a time, its progress for all to see."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import State

from app.console import forms
from app.console.access import HOME, reads
from app.console.frame import done, show
from app.infrastructure.db import Database
from app.verify import asked
from app.verify.asked import Verifier
from app.web.http.access import caller
from app.web.http.forms import form

PATH: Final = f"{HOME}/verify"
ROWS: Final = 20
REFRESH_S: Final = 2


class VerifyForm(forms.Form, frozen=True, kw_only=True):
    """Nothing is asked: it changes nothing."""


@get(PATH, **reads())
async def verify(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The one that goes on, or the last; and those before it."""
    database: Database = state.book.database
    rows = await asked.newest(database, ROWS)
    newest = rows[0] if rows else None
    going = newest is not None and newest["finished_at"] is None
    checks = [] if newest is None else asked.checks_of(newest)
    return show(
        request,
        "verify.html",
        here=PATH,
        newest=newest,
        going=going,
        checks=checks,
        wrong=[check for check in checks if check.differences],
        last=await asked.last_verdict(database),
        rows=rows,
        refresh_s=REFRESH_S if going else None,
    )


@post(PATH, status_code=200, **reads())
async def begin(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Begin a verification; auditors may, since it changes nothing."""
    await form(request, VerifyForm)
    verifier: Verifier = state.verifier
    number = await verifier.begin(caller(request).id)
    if number is None:
        return await done(request, PATH, "One is under way already.", "note")
    return await done(request, PATH, "It has begun.", "note")
