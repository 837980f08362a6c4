"""The floor of a webhook: a bare Litestar handler that verifies, and inserts the inbox row."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from litestar import Litestar, Request, post

from app.infrastructure.db import Database
from app.webhooks.signature import verify
from ops.benchmarks.bare import serve
from ops.benchmarks.floor import CONNECTIONS

# The row that the service's inbox keeps of an event, written once and never touched again.
STATEMENT: Final = """
INSERT INTO events (id, type, api_version, livemode, created_at, received_at, payload,
                    verdict, verdict_reason, attempt_count, subscription_id, customer_id)
VALUES ($1, $2, $3, $4, $5, now(), $6, 'applied', 'updated leaves it active', 1, $7, $8)
ON CONFLICT (id) DO NOTHING RETURNING true
"""


def application() -> Litestar:
    """Reads what the row needs, and applies nothing."""
    database = Database(os.environ["DATABASE_URL"], CONNECTIONS)
    secrets = (os.environ["STRIPE_WEBHOOK_SECRET"],)

    @post("/api/webhooks/stripe", status_code=200)
    async def webhook(request: Request[Any, Any, Any]) -> dict[str, str]:
        payload = await request.body()
        verify(payload, request.headers.get("stripe-signature"), secrets, int(time.time()))
        event = orjson.loads(payload)
        about = event["data"]["object"]
        await database.fetchval(
            STATEMENT, event["id"], event["type"], event["api_version"], event["livemode"],
            datetime.fromtimestamp(event["created"], UTC), payload, about["id"], about["customer"],
        )  # fmt: skip
        return {"event_id": event["id"], "outcome": "applied"}

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await database.open()
        yield
        await database.close()

    return Litestar([webhook], lifespan=[lifespan], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    serve("ops.benchmarks.bare_webhook:application", int(sys.argv[1]))
