"""One real PostgreSQL for the whole run, and a migrated database of its own for each test."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest
import structlog

from app.accounts import apply_catalogue
from app.allowance.catalogue import default_text
from app.book import Book
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from app.infrastructure import clock, migrations
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from ops import chromium
from tests.api_client import Api, open_api
from tests.as_owner import VARIABLE
from tests.running_redis import RunningRedis
from tests.stripe_events import make_subscription_event

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PEPPER = "pepper-of-the-tests-000"
SEAL_KEY = (  # signs the seals of the tests alone
    "PRIVATE+KEY+books.example+1fdd269a+AUFPmgnCnSGYH8UrrqnN300GOvbMV1DLCfQC3xd2oq3i"
)
TEMPLATE = "tallybook_template"
RUN = "tallybook-tests-"
LONG = (
    "tests/bench/",
    "tests/soak/",
    "tests/faults/",
    "tests/browser/",
    "tests/contract/test_fuzzing.py",
    "tests/contract/test_slow_clients.py",
    "tests/ledger/test_ledger_machine.py",
    "tests/simulate/",
    "tests/reversals/test_run_bulk.py",
    "tests/accounts/test_ties.py",
)

# structlog's own default draws every traceback with its locals: up to a second for each.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

_configure = structlog.configure


def _configure_uncached(**wanted: Any) -> None:
    """A cached logger would go on writing to the standard error of the test that first used it."""
    _configure(**{**wanted, "cache_logger_on_first_use": False})


structlog.configure = _configure_uncached

hypothesis.settings.register_profile(
    "tallybook",
    deadline=None,  # a noisy machine is no bug
    print_blob=True,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("tallybook")

# Not durable: the tests that kill a server start one of their own.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}

# A database is 350 files, and each test has one of its own: made in 50 ms here, and in 500 on a
# disk of the same machine. What is shown is the same: no test takes the machine's power away.
MEMORY = Path("/dev/shm")
MEMORY_FREE_BYTES_MIN = 3 * 1024**3


def new_folder(prefix: str) -> Path:
    """A folder of ours alone, in memory where there is room; its path is short.

    A Unix socket's name is at most 107 bytes.
    """
    roomy = os.access(MEMORY, os.W_OK) and (shutil.disk_usage(MEMORY).free >= MEMORY_FREE_BYTES_MIN)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if roomy else None))


def pytest_configure(config: pytest.Config) -> None:
    """Start the server in the controller, once; the workers find it in the environment."""
    if hasattr(config, "workerinput") or config.option.collectonly or VARIABLE in os.environ:
        return
    folder = new_folder(RUN)
    alive = _mark_alive(folder)
    _sweep()
    passwords = Passwords(
        **{name: secrets.token_hex(16) for name in ("superuser", "owner", "application")}
    )
    postgres = EmbeddedPostgres(folder, free_port(), passwords, settings=FAST)
    guard = Guard(f"tests-{os.getpid()}")
    guard.__enter__()
    postgres.start(guard)
    postgres.ready(30)
    urls = {
        "superuser": postgres.superuser_url,
        "owner": postgres.owner_url,
        "application": postgres.application_url,
    }
    os.environ[VARIABLE] = json.dumps(urls)
    asyncio.run(_make_template(urls))

    def end() -> None:
        os.environ.pop(VARIABLE, None)
        postgres.stop()
        guard.__exit__(None, None, None)
        alive.close()
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(end)


def _mark_alive(folder: Path) -> IO[str]:
    """Locked for as long as this run lives, however it ends."""
    mark = (folder / "alive").open("w")
    fcntl.flock(mark, fcntl.LOCK_EX)
    return mark


def _sweep() -> None:
    """Remove what killed runs have left: it is memory that it would take up."""
    for place in (Path(tempfile.gettempdir()), MEMORY):
        for left in place.glob(f"{RUN}*/alive"):
            with contextlib.suppress(OSError), left.open() as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: one that began last would leave the other cores idle at the end."""
    items.sort(
        key=lambda item: next(
            (rank for rank, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)
        )
    )


def on_database(url: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _make_template(urls: dict[str, str]) -> None:
    owner = await asyncpg.connect(urls["superuser"])
    await owner.execute(f"CREATE DATABASE {TEMPLATE} OWNER tallybook_owner")
    await owner.close()
    owner_url = on_database(urls["owner"], TEMPLATE)
    logins = {"DATABASE_URL": on_database(urls["application"], TEMPLATE)}
    await migrations.migrate(owner_url, logins, "development")
    database = Database(owner_url)
    await database.open()
    await apply_catalogue.apply(Book(database), default_text(), "tiers.toml", "tests")
    await database.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> None:
    """Say in one line what was skipped for want of a browser."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(chromium.ABSENT in str(one.longrepr) for one in skipped)
    if count:
        terminalreporter.write_line(f"{count} tests skipped: {chromium.ABSENT}.")


class Server:
    """The run's PostgreSQL, by role."""

    def __init__(self, urls: dict[str, str], name: str) -> None:
        self.name = name
        self.superuser_url = on_database(urls["superuser"], name)
        self.owner_url = on_database(urls["owner"], name)
        self.application_url = on_database(urls["application"], name)


@asynccontextmanager
async def new_server() -> AsyncIterator[Server]:
    """A migrated database of its own for the length of a block, the shipped catalogue applied."""
    urls: dict[str, str] = json.loads(os.environ[VARIABLE])
    name = f"test_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(urls["superuser"])
    await connection.execute(
        # Copying files costs a fifth less here than logging every page.
        f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER tallybook_owner STRATEGY FILE_COPY"
    )
    # A template's rights are not copied: these are as `migrate` leaves them.
    await connection.execute(
        f"""REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {name} TO tallybook_app, tallybook_read"""
    )
    try:
        yield Server(urls, name)
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command or a server that was started inside a test leaves no logging behind."""
    before = structlog.get_config()
    yield
    _configure(**before)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A migrated database of the test's own, with the shipped catalogue applied."""
    async with new_server() as one:
        yield one


@pytest.fixture
async def database(server: Server) -> AsyncIterator[Database]:
    """The application's role on the test's database, its clock standing at NOW."""
    async with open_database(server.application_url) as opened:
        await clock.stand(opened, NOW)
        yield opened


@pytest.fixture
async def superuser(server: Server) -> AsyncIterator[asyncpg.Connection]:
    """A connection with every right, on the test's own database."""
    connection = await asyncpg.connect(server.superuser_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def open_database(url: str, pool_size_max: int = 16) -> AsyncIterator[Database]:
    """A pool for the length of a block."""
    database = Database(url, pool_size_max)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def book(database: Database) -> Book:
    """The test's book, which seals by a key of the tests."""
    return Book(database, seal_keys=(SEAL_KEY,))


@pytest.fixture
def settings(server: Server) -> Settings:
    """A test book's settings."""
    return Settings(
        database_url=server.application_url,
        stripe_webhook_secrets=("whsec_first_of_the_tests", "whsec_second_of_the_tests"),
        cron_secret="cron-secret-of-the-tests",
        key_pepper=PEPPER,
        seal_keys=(SEAL_KEY,),
        environment="development",
        clock_settable=True,
        webhooks_private=(ip_network("127.0.0.0/8"),),
    )


@pytest.fixture
async def api(database: Database, settings: Settings) -> AsyncIterator[Api]:
    """The service on the test's database, its clock standing at NOW."""
    async with open_api(database, settings) as opened:
        yield opened


@pytest.fixture
def subscription_event() -> Callable[..., dict[str, Any]]:
    """Builds a subscription event in Stripe's newest shape."""
    return make_subscription_event


@pytest.fixture
def running_redis(folder: Path) -> Iterator[RunningRedis]:
    """A real Redis of the test's own."""
    server = RunningRedis(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that goes with the test."""
    path = new_folder("tb-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def rows(records: list[Any]) -> list[dict[str, Any]]:
    """Records as dicts, for comparisons that print well."""
    return [dict(record) for record in records]
