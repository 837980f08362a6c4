"""Verify: every number computed again, one verification at a time, its progress for all to see.

A verification runs as a task of the server that was asked, on a connection of its own, and writes
how far it is to its row, which every server reads. It beats every few seconds; one whose server
died does not, and another may begin.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Any, Final

import asyncpg
import msgspec
import structlog
from litestar import Request, Response, get, post
from litestar.datastructures import State

from app.console import forms
from app.console.access import HOME, reads
from app.console.frame import done, show
from app.infrastructure import sql
from app.infrastructure.db import Database, Record, opened
from app.verify.verify import ALL, Check, store_verdict, verifying
from app.web.http.access import caller
from app.web.http.forms import form
from app.web.http.problems import DATABASE_AWAY

log = structlog.get_logger(__name__)

PATH: Final = f"{HOME}/verify"
ROWS: Final = 20
BEAT_S: Final = 3.0
SILENT_S_MAX: Final = 30.0  # after so long without a beat its server is taken for dead
REFRESH_S: Final = 2
_SQL: Final = sql.beside(__file__)


class VerifyForm(forms.Form, frozen=True, kw_only=True):
    """Nothing is asked: it changes nothing."""


class Verifier:
    """The verification that this server is at, if any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def begin(self, asked_by: str) -> int | None:
        """Begin one and return its number; None where another goes on, here or elsewhere."""
        await self._database.execute(*_SQL["bury"](silent_s=SILENT_S_MAX))
        number: int | None = await self._database.fetchval(
            *_SQL["begin"](asked_by=asked_by, check_count=len(ALL))
        )
        if number is not None:
            self._task = asyncio.create_task(self._run(number))
        return number

    async def wait(self) -> None:
        """Wait for the one under way."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """End the one under way: its row says that it was broken off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, number: int) -> None:
        checks: list[Check] = []
        beating = asyncio.create_task(self._beat(number))
        error = None
        try:
            # Without a limit: one check of a large ledger takes minutes.
            async with opened(self._database.url, 1, command_timeout_s=None) as patient:
                async with aclosing(verifying(patient)) as found:
                    async for check in found:
                        checks.append(check)
                        await self._note(number, checks)
                await store_verdict(patient, checks)
        except asyncio.CancelledError:
            error = "The server ended."
            raise
        except Exception as failed:
            log.exception("verify_failed")
            error = f"{type(failed).__name__}: the server's log tells more."
        finally:
            beating.cancel()
            with suppress(*DATABASE_AWAY):
                await self._database.execute(*_SQL["finish"](id=number, error=error))

    async def _note(self, number: int, checks: list[Check]) -> None:
        text = msgspec.json.encode(checks).decode()
        await self._database.execute(*_SQL["note"](id=number, checks=text))

    async def _beat(self, number: int) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(*DATABASE_AWAY, asyncpg.PostgresError):
                await self._database.execute(*_SQL["beat"](id=number))


@get(PATH, **reads())
async def verify(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The one that goes on, or the last; and those before it."""
    database: Database = state.book.database
    await database.execute(*_SQL["bury"](silent_s=SILENT_S_MAX))
    rows = await database.fetch(*_SQL["newest"](limit=ROWS))
    newest: Record | None = rows[0] if rows else None
    going = newest is not None and newest["finished_at"] is None
    checks = [] if newest is None else msgspec.json.decode(newest["checks"], type=list[Check])
    return show(
        request,
        "verify.html",
        here=PATH,
        newest=newest,
        going=going,
        checks=checks,
        wrong=[check for check in checks if check.differences],
        last=await database.fetchrow(*_SQL["verdict"]()),
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
