"""The floors of HTTP: bare Litestar handlers that run one statement each on the same pool."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import Server
from litestar import Litestar, get, post

from app.embedded.ports import LOOPBACK
from app.infrastructure.db import Database
from app.server import HEADER_TIMEOUT_MS, SHUTDOWN_SECONDS_MAX
from ops.benchmarks.floor import CONNECTIONS, spend_statement

STATEMENT: Final = spend_statement("$1")
READ: Final = "SELECT external_id, time_zone, tier, free, held, debt FROM accounts WHERE id = $1"


def application() -> Litestar:
    """Parses no body, checks no key, keeps no answer for a replay."""
    database = Database(os.environ["DATABASE_URL"], CONNECTIONS)

    @post("/spends/{account:int}", status_code=201)
    async def spend(account: int) -> dict[str, int]:
        row = await database.fetchrow(STATEMENT, account)
        assert row is not None
        return dict(row)

    @get("/accounts/{account:int}")
    async def read(account: int) -> dict[str, object]:
        row = await database.fetchrow(READ, account)
        assert row is not None
        return dict(row)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await database.open()
        yield
        await database.close()

    return Litestar([spend, read], lifespan=[lifespan], openapi_config=None, logging_config=None)


def serve(factory: str, port: int) -> None:
    """As app.server serves the service, with one worker."""
    Server(
        factory,
        factory=True,
        address=LOOPBACK,
        port=port,
        workers=1,
        interface=Interfaces.ASGI,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        respawn_failed_workers=True,
        workers_kill_timeout=SHUTDOWN_SECONDS_MAX,
        log_access=False,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    serve("ops.benchmarks.bare:application", int(sys.argv[1]))
