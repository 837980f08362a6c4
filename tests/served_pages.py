"""A served book with a life in it: the demo's six customers, played over HTTP for 35 days."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console

from app.embedded.devbook import DevBook, DevKeys
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.operators.keys import Scope
from app.simulate import demo
from app.simulate.book_client import connected
from tests.as_owner import make_key
from tests.conftest import SEAL_KEY, Server, new_server, open_database
from tests.served_book import served

PEPPER: Final = "pepper-of-the-tests-000"
SECRET: Final = "whsec_of_the_pages_in_tests"


@dataclass(frozen=True)
class ServedBook:
    """Where it is served, its keys by scope, and its database."""

    url: str
    keys: Mapping[str, str]
    server: Server
    database: Database

    async def call(self, scope: str, method: str, path: str, **sent: Any) -> Any:
        """Call the API by the key of a scope; the answer, which is good."""
        headers = {"Authorization": f"Bearer {self.keys[scope]}", **sent.pop("headers", {})}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as client:
            answer = await client.request(method, f"/api/v1{path}", **sent)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@asynccontextmanager
async def served_pages(*, played: bool = True, **variables: str) -> AsyncIterator[ServedBook]:
    """The book for the length of a block; ``variables`` are further settings.

    One that is not ``played`` has no customers, and is up in a third of the time.
    """
    async with new_server() as server, open_database(server.application_url, 4) as database:
        await clock.stand(database, demo.START)
        keys = {
            scope.value: await make_key(database, PEPPER, f"{scope} of the tests", [scope])
            for scope in Scope
        }
        settings = {
            "DATABASE_URL": server.application_url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "CRON_SECRET": "cron-secret-of-the-tests",
            "TALLYBOOK_KEY_PEPPER": PEPPER,
            "TALLYBOOK_SEAL_KEY": SEAL_KEY,
            "TALLYBOOK_ENV": "development",
            "TALLYBOOK_CLOCK": "settable",
            "TALLYBOOK_LOG_LEVEL": "WARNING",
            **variables,
        }
        async with served(settings) as url:
            if played:
                await _play(url, keys, server)
            yield ServedBook(url, keys, server, database)


async def _play(url: str, keys: Mapping[str, str], server: Server) -> None:
    devbook = DevBook(
        base_url=url,
        database_url=server.application_url,
        database_owner_url=server.owner_url,
        redis_url=None,
        stripe_webhook_secret=SECRET,
        cron_secret="cron-secret-of-the-tests",
        keys=DevKeys(**{name: keys[name] for name in ("service", "auditor", "operator")}),
    )
    told = Console(file=io.StringIO(), width=120)
    async with connected(devbook) as client:
        right = await demo.play_demo(client, told, Path("nowhere"))
    assert right, told.file.getvalue()  # type: ignore[attr-defined]
