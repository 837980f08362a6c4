"""The database: one engine, transactions that are safe for money, savepoints for nesting.

Piccolo's own transaction leaks its connection and leaves its context variable set when COMMIT
fails, and its nested transaction is no savepoint; ``Transaction`` mends both. Measured in the
tests beside this module's: a failed COMMIT, a nested block, a restart of PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction
from piccolo.querystring import QueryString

from app.errors import BusyError
from app.infrastructure import traces
from app.infrastructure.pins import pins_of

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 40.0  # after the server's own, which leaves the connection usable
LOCK_TIMEOUT_MS: Final = 5_000  # the contract: one in flight is waited for, 5 s at most
STATEMENT_TIMEOUT_MS: Final = 30_000
CONNECTION_WAIT_S: Final = 10.0  # for one of a pool's connections to become free
Record: TypeAlias = asyncpg.Record
Answer_co = TypeVar("Answer_co", covariant=True)


class Patience(NamedTuple):
    """How long the server lets a connection of ours wait for locks, work, and stand idle."""

    lock_ms: int = LOCK_TIMEOUT_MS
    statement_ms: int = STATEMENT_TIMEOUT_MS
    idle_in_transaction_ms: int = STATEMENT_TIMEOUT_MS


PATIENCE: Final = Patience()
_lock_wait_ms: ContextVar[int | None] = ContextVar("lock_wait_ms", default=None)


@contextmanager
def waiting_for_locks(milliseconds: int) -> Iterator[None]:
    """Let the transactions that this task begins in the block wait so long for a lock."""
    token = _lock_wait_ms.set(milliseconds)
    try:
        yield
    finally:
        _lock_wait_ms.reset(token)


class Runner(Protocol):
    """What the pool and a connection have in common."""

    async def fetch(self, query: str, *args: Any) -> list[Record]: ...
    async def fetchrow(self, query: str, *args: Any) -> Record | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...


class Query(Protocol[Answer_co]):
    """A query that Piccolo's builder made."""

    async def run(self) -> Answer_co: ...


class Transaction(PostgresTransaction):
    """One database transaction; nested in another it is a savepoint of that one."""

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
            await self.engine.pool.release(self.connection)  # which a cancelled request finishes
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
        # The connection is gone, and the transaction with it; the first error tells more.
        return


class Engine(PostgresEngine):
    """Piccolo's engine with our transaction, connecting only when asked to."""

    async def check_version(self) -> None:
        """Piccolo connects here at construction; `tallybook doctor` asks instead."""

    async def prep_database(self) -> None:
        """No extensions are wanted."""

    def transaction(self, allow_nested: bool = True) -> Transaction:
        return Transaction(engine=self, allow_nested=allow_nested)

    async def free_connection(self) -> asyncpg.Connection:
        """A connection of the pool, or one of its own without a pool.

        Raises BusyError when none becomes free in time.
        """
        if self.pool is None:
            return await self.get_new_connection()
        try:
            async with asyncio.timeout(CONNECTION_WAIT_S):  # the pool's own costs a task each time
                return await self.pool.acquire()
        except TimeoutError:
            raise BusyError("No connection to the database became free in time.") from None


_asked: ContextVar[Database | None] = ContextVar("asked", default=None)


class TableEngine(Engine):
    """The engine of app.tables: it tells Piccolo which SQL to write, and leads to no database.

    A process may work on several: `Database.run` says on which a query runs.
    """

    def __init__(self) -> None:
        super().__init__(config={}, extensions=())

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> list[Record]:
        database = _asked.get()
        if database is None:
            raise RuntimeError("A query of a table runs by `await database.run(query)`.")
        text, values = querystring.compile_string()
        return await database.fetch(text, *values)


class _RehearsedError(Exception):
    """Rolls a rehearsal back."""


class Database:
    """The engine and its pool; every query runs in the task's transaction where there is one."""

    def __init__(
        self,
        url: str,
        pool_size_max: int = 16,
        *,
        pool_size_min: int = 1,
        application: str = "tallybook",
        command_timeout_s: float | None = COMMAND_TIMEOUT_S,
        patience: Patience = PATIENCE,
    ) -> None:
        self.url = url
        self._patience = patience
        self._pool_size_max = pool_size_max
        self._pool_size_min = pool_size_min
        self._application = application
        self._command_timeout_s = command_timeout_s
        self.engine = Engine(config={"dsn": url}, extensions=())

    async def open(self) -> None:
        """Start the pool; raises what asyncpg raises when the database is away.

        With ``pool_size_min`` 0 nobody is asked yet, and nothing is raised.
        """
        await self.engine.start_connection_pool(
            min_size=self._pool_size_min,
            max_size=self._pool_size_max,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=self._command_timeout_s,
            # The default RESET ALL costs a round trip, half of a pooled fetchrow. Safe while we
            # use nothing but SET LOCAL, no session locks and no LISTEN on pooled connections.
            reset=_keep_session,
            init=self._begin_session,
            server_settings={"application_name": self._application},
        )

    async def _begin_session(self, connection: asyncpg.Connection) -> None:
        """Set what holds for the whole session, by one round trip for a new connection.

        As a start's parameters PgBouncer would refuse them or, told to ignore them, drop them.
        """
        settings = {
            **pins_of(self.url),
            # What is looked up is in memory or on flash. At PostgreSQL's 4.0, for disks that turn,
            # the planner mistrusts the plans that it has made, and a spend's statements are planned
            # anew each time: a third of what they cost.
            "random_page_cost": "1.1",
            "lock_timeout": str(self._patience.lock_ms),
            "statement_timeout": str(self._patience.statement_ms),
            "idle_in_transaction_session_timeout": str(self._patience.idle_in_transaction_ms),
        }
        # None of them holds a quote. Without arguments no statement is prepared for it.
        stated = (f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        await connection.execute(f"SELECT {', '.join(stated)}")

    async def close(self) -> None:
        """End the pool, waiting for connections in use."""
        if self.engine.pool:
            await self.engine.close_connection_pool()

    def pool_use(self) -> dict[str, int]:
        """How many connections are used and idle, and how many there may be at most."""
        pool = self.engine.pool
        size, idle = (pool.get_size(), pool.get_idle_size()) if pool else (0, 0)
        return {"used": size - idle, "idle": idle, "at_most": self._pool_size_max}

    def transaction(self) -> Transaction:
        """One unit of work: commits at the end of the block, else rolls back."""
        return self.engine.transaction()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """A read-only transaction in which every query sees the same instant.

        Within a transaction of the task's, such as a dry run's, it reads what that wrote.
        """
        if self.in_transaction:
            yield
            return
        async with self.transaction():
            await self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """A transaction that is always rolled back: a dry run does the real act in it."""
        with suppress(_RehearsedError):
            async with self.transaction():
                yield
                raise _RehearsedError

    @property
    def _runner(self) -> Runner:
        current = self.engine.current_transaction.get()
        if current is not None:
            return cast("Runner", current.connection)
        if self.engine.pool is None:
            raise RuntimeError("The database's pool is not open.")
        return _Pooled(self.engine)

    @property
    def in_transaction(self) -> bool:
        """Whether this task is inside a transaction."""
        return self.engine.current_transaction.get() is not None

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call it once this task's transaction has committed; at once where there is none.

        What is rolled back, a savepoint too, is not called.
        """
        current = self.engine.current_transaction.get()
        if isinstance(current, Transaction):
            current.afterwards.append(call)
        else:
            call()

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        """All rows."""
        return await self._runner.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Record | None:
        """The first row, or None."""
        return await self._runner.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first row's first column, or None."""
        return await self._runner.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run it; returns PostgreSQL's command tag."""
        return await self._runner.execute(query, *args)

    async def run(self, query: Query[Answer_co]) -> Answer_co:
        """Run what Piccolo's query builder made of a table in app.tables."""
        token = _asked.set(self)
        try:
            return await query.run()
        finally:
            _asked.reset(token)

    async def join_by_index(self) -> None:
        """For the rest of this transaction, which works on a sliver of its tables.

        A hash join would read all of them, once for each sliver.
        """
        await self.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")


class _Pooled:
    """Runs each query on a connection of the pool, waiting for one no longer than a call may."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        return await self._run("fetch", query, args)  # type: ignore[no-any-return]

    async def fetchrow(self, query: str, *args: Any) -> Record | None:
        return await self._run("fetchrow", query, args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._run("fetchval", query, args)

    async def execute(self, query: str, *args: Any) -> str:
        return await self._run("execute", query, args)  # type: ignore[no-any-return]

    async def _run(self, method: str, query: str, args: tuple[Any, ...]) -> Any:
        connection = await self._engine.free_connection()
        try:
            return await getattr(connection, method)(query, *args)
        finally:
            if self._engine.pool:
                await self._engine.pool.release(connection)


async def _keep_session(connection: asyncpg.Connection) -> None:
    if connection.is_in_transaction():  # known locally, no round trip
        await connection.execute("ROLLBACK")


@asynccontextmanager
async def opened(
    url: str, pool_size_max: int = 4, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S
) -> AsyncIterator[Database]:
    """A database for the length of a block, as commands use it; None waits for ever."""
    database = Database(url, pool_size_max, command_timeout_s=command_timeout_s)
    async with kept_open(database):
        yield database


@asynccontextmanager
async def kept_open(database: Database) -> AsyncIterator[None]:
    """Keep the pool open for the length of a block."""
    await database.open()
    try:
        yield
    finally:
        await database.close()
