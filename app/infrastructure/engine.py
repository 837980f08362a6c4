"""Piccolo's engine, with transactions that are safe for money and savepoints for nesting.

Piccolo's own transaction has two faults. If COMMIT fails, it leaks its connection and leaves its
context variable set; and its nested transaction is no savepoint. ``Transaction`` mends both. The
tests of ``db.py`` test a failed COMMIT, a nested block and a restart of PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Literal, cast

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

from app.errors import BusyError
from app.infrastructure import traces

CONNECTION_WAIT_S: Final = 10.0  # the wait for a free connection of the pool
_lock_wait_ms: ContextVar[int | None] = ContextVar("lock_wait_ms", default=None)


@contextmanager
def waiting_for_locks(milliseconds: int) -> Iterator[None]:
    """Let the transactions that this task begins in the block wait this long for a lock."""
    token = _lock_wait_ms.set(milliseconds)
    try:
        yield
    finally:
        _lock_wait_ms.reset(token)


class Transaction(PostgresTransaction):
    """One database transaction; nested in another one it is a savepoint."""

    __slots__ = ("_before", "_outer", "_savepoint", "_span", "_token", "afterwards")

    async def __aenter__(self) -> Transaction:
        self.afterwards: list[Callable[[], None]] = []
        if self._parent is not None:
            self._outer = cast("Transaction", self._parent)
            self._before = len(self._outer.afterwards)
            self.connection = self._parent.connection
            self._savepoint = self.connection.transaction()  # asyncpg nests by SAVEPOINT
            await self._savepoint.start()
            return self
        self._span = traces.begin("transaction")
        try:
            connection = await cast("Engine", self.engine).free_connection()
        except BaseException as error:
            traces.end(self._span, error)
            raise
        self.connection = connection
        try:
            self.transaction = connection.transaction()
            await self.transaction.start()
            if (wait_ms := _lock_wait_ms.get()) is not None:
                await connection.execute(f"SET LOCAL lock_timeout = {wait_ms}")
        except BaseException:
            await self._give_back()
            raise
        self._token = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        if self._parent is not None:
            if exception is not None:
                del self._outer.afterwards[self._before :]
            await _end(self._savepoint, exception)
            return False
        try:
            if not (self._committed or self._rolled_back):
                await _end(self.transaction, exception)
        finally:
            self.engine.current_transaction.reset(self._token)
            traces.end(self._span, exception)
            await self._give_back()
        if exception is None:
            for call in self.afterwards:
                call()
        return False

    async def _give_back(self) -> None:
        if self.engine.pool:
            await self.engine.pool.release(self.connection)  # a canceled request finishes it too
        else:
            await asyncio.shield(self.connection.close())


async def _end(
    transaction: asyncpg.transaction.Transaction, exception: BaseException | None
) -> None:
    if exception is None:
        await transaction.commit()
        return
    try:
        await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        # The connection is gone, and the transaction with it; the first error says more.
        return


class Engine(PostgresEngine):
    """Piccolo's engine with our transaction; it connects only when asked to."""

    async def check_version(self) -> None:
        """Do nothing: Piccolo connects here at construction; `tallybook doctor` checks instead."""

    async def prep_database(self) -> None:
        """Do nothing: no extensions are needed."""

    def transaction(self, allow_nested: bool = True) -> Transaction:
        return Transaction(engine=self, allow_nested=allow_nested)

    async def free_connection(self) -> asyncpg.Connection:
        """Return a connection of the pool, or a new one without a pool.

        Raises BusyError if none becomes free in time.
        """
        if self.pool is None:
            return await self.get_new_connection()
        try:
            async with asyncio.timeout(CONNECTION_WAIT_S):  # asyncpg's own costs a task per call
                return await self.pool.acquire()
        except TimeoutError:
            raise BusyError("No connection to the database became free in time.") from None
