"""The database: queries that join their task's transaction, rehearsals, snapshots, the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar, cast, overload

import asyncpg
from piccolo.querystring import QueryString

from app.infrastructure.engine import Engine, Transaction
from app.infrastructure.pins import pins_of
from app.infrastructure.sql import Call, Row_co

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 40.0  # after the server's own limit, which leaves the connection usable
LOCK_TIMEOUT_MS: Final = 5_000  # the contract: another request under the same key, 5 s at most
STATEMENT_TIMEOUT_MS: Final = 30_000
Record: TypeAlias = asyncpg.Record
Answer_co = TypeVar("Answer_co", covariant=True)


class Patience(NamedTuple):
    """The times that the server lets a connection wait for locks, work, and be idle."""

    lock_ms: int = LOCK_TIMEOUT_MS
    statement_ms: int = STATEMENT_TIMEOUT_MS
    idle_in_transaction_ms: int = STATEMENT_TIMEOUT_MS


PATIENCE: Final = Patience()


class Runner(Protocol):
    """The methods that the pool and a connection have in common."""

    async def fetch(self, query: str, *args: Any) -> list[Record]: ...
    async def fetchrow(self, query: str, *args: Any) -> Record | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...


class Query(Protocol[Answer_co]):
    """A query made by Piccolo's builder."""

    async def run(self) -> Answer_co: ...


_asked: ContextVar[Database | None] = ContextVar("asked", default=None)


class TableEngine(Engine):
    """The engine of app.tables: it tells Piccolo which SQL to write, and has no database.

    A process may work on several books: `Database.run` decides which database runs a query.
    """

    def __init__(self) -> None:
        super().__init__(config={}, extensions=())

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> list[Record]:
        database = _asked.get()
        if database is None:
            raise RuntimeError("A query of a table runs by `await database.run(query)`.")
        text, values = querystring.compile_string()
        return await database.fetch(text, *values)


def _told(query: Call[Row_co] | str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the text and its values: a statement of a file holds both, a text is given them."""
    return (query, *values) if isinstance(query, str) else query


class _RehearsedError(Exception):
    """Raised to roll a rehearsal back."""


class Database:
    """The engine and its pool; every query joins the task's transaction if there is one."""

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
        """Start the pool; raise what asyncpg raises if the database is away.

        With ``pool_size_min`` 0 nothing is connected yet, and nothing is raised.
        """
        await self.engine.start_connection_pool(
            min_size=self._pool_size_min,
            max_size=self._pool_size_max,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=self._command_timeout_s,
            # The default RESET ALL costs a round trip, half of a pooled fetchrow. It is not
            # needed: we use only SET LOCAL, no session locks and no LISTEN on pooled connections.
            reset=_keep_session,
            init=self._begin_session,
            server_settings={"application_name": self._application},
        )

    async def _begin_session(self, connection: asyncpg.Connection) -> None:
        """Set what holds for the whole session, in one round trip of a new connection.

        As start parameters PgBouncer would refuse them, or drop them if told to ignore them.
        """
        settings = {
            **pins_of(self.url),
            # Rows are read from memory or flash. At PostgreSQL's 4.0, for spinning disks, a
            # spend's statements are planned again each time: a third of their cost.
            "random_page_cost": "1.1",
            "lock_timeout": str(self._patience.lock_ms),
            "statement_timeout": str(self._patience.statement_ms),
            "idle_in_transaction_session_timeout": str(self._patience.idle_in_transaction_ms),
        }
        # None of them holds a quote. Without arguments no statement is prepared for it.
        stated = (f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        await connection.execute(f"SELECT {', '.join(stated)}")

    async def close(self) -> None:
        """Close the pool, waiting for connections in use."""
        if self.engine.pool:
            await self.engine.close_connection_pool()

    def pool_use(self) -> dict[str, int]:
        """Return how many connections are used and idle, and the maximum."""
        pool = self.engine.pool
        size, idle = (pool.get_size(), pool.get_idle_size()) if pool else (0, 0)
        return {"used": size - idle, "idle": idle, "at_most": self._pool_size_max}

    def transaction(self) -> Transaction:
        """Begin one unit of work: it commits at the end of the block, or rolls back on an error."""
        return self.engine.transaction()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Begin a read-only transaction in which every query sees the same instant.

        Inside a transaction of the task, such as a dry run's, it reads what that one wrote.
        """
        if self.in_transaction:
            yield
            return
        async with self.transaction():
            await self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """Begin a transaction that is always rolled back: a dry run does the real act in it."""
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
        """Return whether this task is inside a transaction."""
        return self.engine.current_transaction.get() is not None

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call it once this task's transaction has committed; at once if there is none.

        It is not called if the transaction or its savepoint is rolled back.
        """
        current = self.engine.current_transaction.get()
        if isinstance(current, Transaction):
            current.afterwards.append(call)
        else:
            call()

    @overload
    async def fetch(self, query: Call[Row_co]) -> list[Row_co]: ...
    @overload
    async def fetch(self, query: str, *args: Any) -> list[Record]: ...
    async def fetch(self, query: Call[Row_co] | str, *args: Any) -> list[Any]:
        """Return all rows."""
        return await self._runner.fetch(*_told(query, args))

    @overload
    async def fetchrow(self, query: Call[Row_co]) -> Row_co | None: ...
    @overload
    async def fetchrow(self, query: str, *args: Any) -> Record | None: ...
    async def fetchrow(self, query: Call[Row_co] | str, *args: Any) -> Any:
        """Return the first row, or None."""
        return await self._runner.fetchrow(*_told(query, args))

    async def fetchval(self, query: Call[object] | str, *args: Any) -> Any:
        """Return the first row's first column, or None."""
        return await self._runner.fetchval(*_told(query, args))

    async def execute(self, query: Call[object] | str, *args: Any) -> str:
        """Run it and return PostgreSQL's command tag."""
        return await self._runner.execute(*_told(query, args))

    async def run(self, query: Query[Answer_co]) -> Answer_co:
        """Run a query that Piccolo's builder made of a table in app.tables."""
        token = _asked.set(self)
        try:
            return await query.run()
        finally:
            _asked.reset(token)

    async def join_by_index(self) -> None:
        """Use no hash or merge joins in this transaction, which works on a small part of its
        tables.

        A hash join would read the tables whole, once for each part.
        """
        await self.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")


class _Pooled:
    """Runs each query on a connection of the pool; waits for one no longer than a call may."""

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
    if connection.is_in_transaction():  # known locally, without a round trip
        await connection.execute("ROLLBACK")


@asynccontextmanager
async def opened(
    url: str, pool_size_max: int = 4, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S
) -> AsyncIterator[Database]:
    """Open a database for the length of a block; with None waits have no limit."""
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
