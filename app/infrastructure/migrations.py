"""Run Piccolo's migrations: once, even if many servers start at the same time."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import asyncpg

from app.errors import BusyError, ConfigurationError
from app.infrastructure.books import MAIN_BOOK, book_of_url, check_name, in_book
from app.infrastructure.db import LOCK_TIMEOUT_MS
from app.infrastructure.pins import pins_of

FOLDER: Final = Path(__file__).parents[2] / "piccolo_migrations"
LOCK: Final = 0x7A11_1E57  # the advisory lock of a migration
ROLE_OF: Final = {"DATABASE_URL": "tallybook_app", "DATABASE_READ_URL": "tallybook_read"}
CLOCK_ROLE: Final = "tallybook_clock"  # its members may set the book's clock: only in development


class Asking(Protocol):
    """The methods that a database and a bare connection have in common."""

    async def fetch(self, query: str, *args: Any) -> list[Any]: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...


def known() -> list[str]:
    """Return the ids of the migrations that this version ships, oldest first.

    They come from the files' names, since importing Piccolo's migrations takes half a second.
    """
    return [_id(path.stem) for path in sorted(FOLDER.glob("tallybook_*.py"))]


def _id(stem: str) -> str:
    # tallybook_2026_11_22t08_00_00_000000 → 2026-11-22T08:00:00:000000
    day, _, hour = stem.removeprefix("tallybook_").partition("t")
    return f"{day.replace('_', '-')}T{hour.replace('_', ':')}"


async def applied(database: Asking) -> set[str]:
    """Return the ids of the migrations that this database has had."""
    if not await database.fetchval("SELECT to_regclass('migration') IS NOT NULL"):
        return set()
    rows = await database.fetch("SELECT name FROM migration WHERE app_name = 'tallybook'")
    return {row["name"] for row in rows}


async def missing(database: Asking) -> list[str]:
    """Return the migrations that this database lacks."""
    done = await applied(database)
    return [name for name in known() if name not in done]


async def refuse_unreleased(database: Asking) -> None:
    """Raise ConfigurationError if an unreleased version made this database.

    Its migrations are older than the first one of this version, and lead to another schema.
    """
    older = sorted(name for name in await applied(database) if name < known()[0])
    if older:
        raise ConfigurationError(
            "An unreleased version of Tallybook made this database (its first migration is "
            f"{older[0]}), and this version cannot use it: give `tallybook up` a new --data-dir, "
            "or drop the database, create it again and run `tallybook migrate`."
        )


async def books(database: Asking) -> list[str]:
    """Return the books of this database, `public` first."""
    rows = await database.fetch(_BOOKS)
    return sorted((row["name"] for row in rows), key=lambda name: (name != MAIN_BOOK, name))


_BOOKS: Final = """
SELECT nspname AS name FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid
 WHERE relname IN ('migration', 'catalogues', 'book') GROUP BY nspname HAVING count(*) = 3
"""


async def make_book(
    owner_url: str, name: str, logins: dict[str, str], environment: str = "production"
) -> None:
    """Make a schema for a further book and migrate it, for the same logins.

    Raises ConfigurationError if the name cannot be a book's, or if the schema exists.
    """
    check_name(name)
    connection = await _connect(owner_url)
    try:
        await connection.execute(f'CREATE SCHEMA "{name}"')
    except asyncpg.DuplicateSchemaError:
        raise ConfigurationError(
            f"There is a schema {name} already; nothing was changed."
        ) from None
    finally:
        await connection.close()
    there = {each: in_book(url, name) for each, url in logins.items()}
    await migrate(in_book(owner_url, name), there, environment)


async def migrate_all(
    owner_url: str,
    logins: dict[str, str],
    environment: str = "production",
    tell: Callable[[str, list[str]], None] = lambda _book, _done: None,
) -> None:
    """Migrate every book of the database; call ``tell`` with each and the migrations that
    were run.
    """
    tell(book_of_url(owner_url), await migrate(owner_url, logins, environment))
    connection = await _connect(owner_url)
    try:
        others = [name for name in await books(connection) if name != MAIN_BOOK]
    finally:
        await connection.close()
    for name in others:
        there = {each: in_book(url, name) for each, url in logins.items()}
        tell(name, await migrate(in_book(owner_url, name), there, environment))


async def migrate(
    owner_url: str, logins: dict[str, str], environment: str = "production"
) -> list[str]:
    """Migrate the database as its owner; return the migrations that were run.

    ``logins`` maps DATABASE_URL and DATABASE_READ_URL to their values. Only their users and the
    owner may connect afterwards. They become members of the group roles that the schema grants to,
    and get the settings of `pins_of`. In development the first may set the clock too. A second
    caller waits for the first.

    Raises BusyError if somebody keeps a table locked: the migration that needed it changed
    nothing. Raises ConfigurationError if an unreleased version made the database.
    """
    connection = await _connect(owner_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        book = book_of_url(owner_url)
        if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", book):
            raise ConfigurationError(
                f"There is no book {book} here: `tallybook book create {book}`."
            )
        await refuse_unreleased(connection)
        wanted = await missing(connection)
        if wanted:
            try:
                await _run_piccolo(owner_url)
            except asyncpg.LockNotAvailableError:
                raise BusyError(await _locked(connection)) from None
        await _keep_others_out(connection)
        for name, url in logins.items():
            await _let_in(connection, ROLE_OF[name], url, owner_url)
            if name == "DATABASE_URL" and environment == "development":
                await _let_in(connection, CLOCK_ROLE, url, owner_url)
            await _pin(url)
    finally:
        await connection.close()  # and with it the advisory lock
    return wanted


_HOLDERS: Final = """
SELECT DISTINCT format('%s of %s (process %s)', coalesce(nullif(application_name, ''), 'a session'),
                       usename, pid) AS who
  FROM pg_locks JOIN pg_stat_activity USING (pid)
 WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database
                                              WHERE datname = current_database())
   AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
   AND granted AND pid <> pg_backend_pid() ORDER BY who
"""


async def _locked(connection: asyncpg.Connection) -> str:
    """Return a sentence: which migration stopped, and who holds the locks."""
    stopped, *_ = await missing(connection)
    holders = [row["who"] for row in await connection.fetch(_HOLDERS)]
    now = f" Locks are held now by {'; '.join(holders)}." if holders else ""
    return (
        f"The migration {stopped} did not get a table's lock in {LOCK_TIMEOUT_MS / 1000:g} s and "
        f"was rolled back whole.{now} Let these end, then run `tallybook migrate` again."
    )


async def _run_piccolo(owner_url: str) -> None:
    with _piccolo_environment(owner_url):
        from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager
        from piccolo.apps.migrations.tables import Migration

        configuration = importlib.import_module("app.infrastructure.piccolo_conf")
        importlib.reload(configuration)
        Migration._meta.db = configuration.DB
        # Piccolo looks whether its table is there in `public`, unless it is told.
        Migration._meta.schema = book_of_url(owner_url)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            result = await ForwardsMigrationManager(app_name="tallybook").run()
    if not result.success:
        raise ConfigurationError(f"The migrations stopped: {result.message}\n{said.getvalue()}")


@contextlib.contextmanager
def _piccolo_environment(owner_url: str) -> Iterator[None]:
    """Set the environment and path from which Piccolo reads its configuration; restore
    both after.
    """
    before, path = dict(os.environ), list(sys.path)
    os.environ.update(PICCOLO_CONF="app.infrastructure.piccolo_conf", DATABASE_OWNER_URL=owner_url)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, timeout=10, server_settings=pins_of(url))


async def _keep_others_out(connection: asyncpg.Connection) -> None:
    """Let nobody else connect or make temporary tables, which PostgreSQL allows everybody.

    Repeated at each call, since a dump of the database does not contain these rights.
    """
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(
        f"""REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {database} TO {", ".join(ROLE_OF.values())}"""
    )


async def _pin(url: str) -> None:
    """Let this login's sessions in this database begin with the settings of `pins_of`.

    The login does it itself: for another role it takes CREATEROLE and more. A login that works on
    several books begins in `public`; a login of one further book begins in that book.
    """
    connection = await _connect(url)
    try:
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        pins = pins_of(url)
        if book_of_url(url) != MAIN_BOOK and await connection.fetchval(_IS_PINNED):
            del pins["search_path"]
        for name in pins:
            await connection.execute(
                f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} FROM CURRENT"
            )
    finally:
        await connection.close()


_IS_PINNED: Final = """
SELECT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting
                WHERE setrole = current_user::regrole AND setting LIKE 'search_path=public,%'
                  AND setdatabase = (SELECT oid FROM pg_database
                                      WHERE datname = current_database()))
"""


async def _let_in(connection: asyncpg.Connection, role: str, url: str, owner_url: str) -> None:
    user, owner = _user(url), _user(owner_url)
    if user is None or user == owner:
        return
    member = await connection.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", user, role)
    if not member:
        quoted = '"' + user.replace('"', '""') + '"'
        await connection.execute(f"GRANT {role} TO {quoted}")


def _user(url: str) -> str | None:
    name = urlsplit(url).username
    return unquote(name) if name else None
