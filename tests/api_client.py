"""The service over ASGI, in the test's own loop: real routes, real database, no socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from litestar import Litestar

from app.asgi import furnish, routed
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.webhooks.signature import sign
from tests.as_owner import make_keys_of_all_scopes

BASE = "http://tallybook.test"


class Api:
    """A client of the service with a key for each scope, signing what it sends as Stripe."""

    def __init__(self, client: httpx.AsyncClient, tokens: dict[str, str], secret: str) -> None:
        self.client = client
        self.tokens = tokens
        self.secret = secret

    def headers(self, scope: str, **more: str) -> dict[str, str]:
        """The headers of a key of this scope."""
        return {"Authorization": f"Bearer {self.tokens[scope]}", **more}

    async def get(self, path: str, scope: str = "auditor", **params: object) -> httpx.Response:
        """GET with a key."""
        return await self.client.get(path, params=params, headers=self.headers(scope))  # type: ignore[arg-type]

    async def put(self, path: str, body: object, scope: str = "service") -> httpx.Response:
        """PUT with a key."""
        return await self.client.put(path, json=body, headers=self.headers(scope))

    async def spend(self, account_id: str, amount: int, key: str) -> httpx.Response:
        """Spend under a key."""
        return await self.client.post(
            f"/api/v1/accounts/{account_id}/spends",
            json={"amount": amount},
            headers=self.headers("service", **{"Idempotency-Key": key}),
        )

    async def account(self, account_id: str) -> dict[str, Any]:
        """The account's answer."""
        answer = await self.get(f"/api/v1/accounts/{account_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def deliver(self, event: dict[str, Any]) -> str:
        """Send an event as Stripe does; the outcome."""
        answer = await self.post_event(event)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["outcome"])

    async def post_event(self, event: dict[str, Any]) -> httpx.Response:
        """Send an event, signed now."""
        payload = json.dumps(event).encode()
        header = sign(payload, self.secret, int(time.time()))
        return await self.client.post(
            "/api/webhooks/stripe",
            content=payload,
            headers={"Stripe-Signature": header, "Content-Type": "application/json"},
        )

    async def set_clock(self, to: datetime, tick: bool = True) -> None:
        """Move the clock forward."""
        body = {"now": to.astimezone(UTC).isoformat(), "tick": tick}
        answer = await self.put("/api/v1/dev/clock", body, "operator")
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[None]:
    """The application's lifespan, in a task of its own: a fixture is left in another task."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await ended.wait()

    living = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({living, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        living.result()
    try:
        yield
    finally:
        ended.set()
        await living


@asynccontextmanager
async def open_api(
    database: Database, settings: Settings, tokens: dict[str, str] | None = None
) -> AsyncIterator[Api]:
    """The service on this database, with a new key for each scope where none are given."""
    tokens = tokens or await make_keys_of_all_scopes(database, settings.key_pepper)
    with furnished(settings) as app:
        async with (
            serving(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE) as client,
        ):
            yield Api(client, tokens, settings.stripe_webhook_secrets[0])


_spare: defaultdict[tuple[bool, str], list[Litestar]] = defaultdict(list)


@contextmanager
def furnished(settings: Settings) -> Iterator[Litestar]:
    """The application; its routes are made once, not for each of hundreds of tests."""
    spare = _spare[settings.clock_settable, settings.assistants]
    app = spare.pop() if spare else routed(settings)
    furnish(app, settings)
    yield app
    spare.append(app)
