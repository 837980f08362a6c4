"""Serve the application by granian."""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server
from granian.server.common import AbstractServer

from app.book import settings_of
from app.infrastructure import settings
from app.infrastructure.checked_database import checked
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings

HEADER_TIMEOUT_MS: Final = 10_000  # a client that sends its headers slowly is cut off
SHUTDOWN_SECONDS_MAX: Final = 10
CONNECTIONS_MAX: Final = 8_192  # of each worker; more wait to be accepted
FILES_MAX: Final = 2 * CONNECTIONS_MAX


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ConfigurationError for bad settings or an unusable database. This is checked once here,
    since each worker process would answer with a traceback.
    """
    configured = settings.load()
    for each in (configured, *map(settings_of, configured.books)):
        asyncio.run(_try_database(each))
    _allow_files()
    with _shared_counts():
        _server(host, port, workers).serve()


async def _try_database(configured: Settings) -> None:
    async with checked(Database(configured.database_url, 1)):
        pass


def _server(host: str, port: int, workers: int) -> AbstractServer[Any]:
    return Server(
        "app.asgi:application",
        factory=True,
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        # With `auto` granian waits without end for bytes that tell HTTP/1 from HTTP/2: 1,100 silent
        # connections blocked the server. Proxies speak HTTP/1.1 to the servers behind them.
        http=HTTPModes.http1,
        backlog=CONNECTIONS_MAX,
        backpressure=CONNECTIONS_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        respawn_failed_workers=True,
        workers_kill_timeout=SHUTDOWN_SECONDS_MAX,
        log_access=False,
        websockets=False,
    )


def _allow_files() -> None:
    """Let the process open a file for each connection, up to the system's hard limit.

    Many systems begin with 1,024, at which accepting would fail.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _shared_counts() -> Iterator[None]:
    """Return a folder in which the workers, and their replacements, count together.

    It is named before any worker starts: they are forks, and must not find the library imported.
    """
    if os.environ.get(settings.COUNTS_FOLDER):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="tallybook-counts-") as folder:
        os.environ[settings.COUNTS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[settings.COUNTS_FOLDER]
