"""Verifications that are asked for over HTTP, in the console or by an assistant.

Only one runs at a time. It runs as a task of the server that was asked, on a connection of its
own, and writes its progress to its row, which every server reads. It writes a heartbeat every few
seconds; without a heartbeat its server is taken for dead, and another verification may begin.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec
import structlog

from app.audit import cursor as cursors
from app.audit.cursor import PAST_EVERY_NUMBER, Page
from app.errors import VerificationUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database, opened
from app.infrastructure.ids import VerificationNumber
from app.verify.verify import ALL, Check, store_verdict, verifying

if TYPE_CHECKING:
    from app.tables.row_types import VerificationsRow
    from app.verify import row_types


log = structlog.get_logger(__name__)

BEAT_S: Final = 3.0
SILENT_S_MAX: Final = 30.0  # after this long without a heartbeat its server is taken for dead
_SQL: Final[row_types.AskedSql] = sql.beside(__file__)
_AWAY: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class Verifier:
    """The verification that this server runs, if any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def begin(self, asked_by: str) -> int | None:
        """Begin one and return its number; None if another one runs, here or elsewhere."""
        await self._database.execute(_SQL["bury"](silent_s=SILENT_S_MAX))
        number: VerificationNumber | None = await self._database.fetchval(
            _SQL["begin"](asked_by=asked_by, check_count=len(ALL))
        )
        if number is not None:
            self._task = asyncio.create_task(self._run(number))
        return number

    async def wait(self) -> None:
        """Wait for the running one."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """End the running one: its row says that it was interrupted."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, number: VerificationNumber) -> None:
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
            with suppress(*_AWAY):
                await self._database.execute(_SQL["finish"](id=number, error=error))

    async def _note(self, number: VerificationNumber, checks: list[Check]) -> None:
        text = msgspec.json.encode(checks).decode()
        await self._database.execute(_SQL["note"](id=number, checks=text))

    async def _beat(self, number: VerificationNumber) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(*_AWAY):
                await self._database.execute(_SQL["beat"](id=number))


async def page(database: Database, cursor: str | None, limit: int) -> Page[row_types.AskedNewest]:
    """Return one page, the newest first; raise InvalidCursorError."""
    query = "verifications"
    before = cursors.decode_number(cursor, query, PAST_EVERY_NUMBER)
    return cursors.page(await newest(database, limit + 1, before), limit, query)


async def newest(
    database: Database, limit: int, before: int = PAST_EVERY_NUMBER
) -> list[row_types.AskedNewest]:
    """Return those with a lower number than `before`, the newest first."""
    await database.execute(_SQL["bury"](silent_s=SILENT_S_MAX))
    return await database.fetch(_SQL["newest"](before=before, limit=limit))


async def asked(
    database: Database, number: VerificationNumber | None, public_id: str
) -> row_types.AskedNewest:
    """One of them; raises VerificationUnknownError."""
    rows = await newest(database, 1, (number or 0) + 1)
    if not rows or rows[0]["id"] != number:
        raise VerificationUnknownError(
            f"There is no verification {public_id!r}.", verification_id=public_id
        )
    return rows[0]


async def last_verdict(database: Database) -> VerificationsRow | None:
    """Return the last whole verification, over HTTP or by the command, or None."""
    return await database.fetchrow(_SQL["verdict"]())


def checks_of(row: row_types.AskedNewest) -> list[Check]:
    """Return the finished checks of a verification."""
    return msgspec.json.decode(row["checks"], type=list[Check])
