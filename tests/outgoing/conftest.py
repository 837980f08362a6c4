"""A receiver, an endpoint that names it, and a delivery that is done when it returns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.book import Book
from app.infrastructure.settings import Settings
from app.outgoing.deliver import deliver_due
from app.web.webhook_endpoints import sender_of
from tests.api_client import Api
from tests.receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


class Hooks:
    """The webhook routes, as an operator calls them, and the worker's delivery."""

    def __init__(self, api: Api, book: Book, settings: Settings) -> None:
        self.api = api
        self.book = book
        self.sender = sender_of(settings)

    async def put(self, endpoint_id: str, **body: Any) -> httpx.Response:
        path = f"/api/v1/webhook-endpoints/{endpoint_id}"
        return await self.api.put(path, {"reason": "tests", **body}, "operator")

    async def made(self, receiver: Receiver, endpoint_id: str = "main", **body: Any) -> None:
        """Make an endpoint for the receiver, which learns its secret."""
        answer = await self.put(endpoint_id, url=receiver.url, **body)
        assert answer.status_code == 201, answer.text
        receiver.secret = answer.json()["secret"]

    async def post(self, path: str, body: object = None) -> httpx.Response:
        sent = {} if body is None else {"json": body}
        headers = self.api.headers("operator")
        return await self.api.client.post(f"/api/v1/{path}", headers=headers, **sent)

    async def messages(self, **filters: Any) -> list[dict[str, Any]]:
        answer = await self.api.get("/api/v1/webhook-messages", "operator", limit=1000, **filters)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    async def states(self) -> list[tuple[str, str]]:
        return [(one["type"], one["state"]) for one in await self.messages()]

    async def endpoint(self, endpoint_id: str = "main") -> dict[str, Any]:
        answer = await self.api.get(f"/api/v1/webhook-endpoints/{endpoint_id}", "operator")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def deliver(self) -> None:
        await deliver_due(self.book, self.sender)

    async def pass_seconds(self, seconds: float) -> None:
        """Let so much of the world's time pass for messages and endpoints."""
        for table, columns in (
            ("webhook_messages", ("next_attempt_at", "first_attempt_at", "last_attempt_at")),
            ("webhook_endpoints", ("failing_since", "held_until", "previous_until")),
        ):
            moved = ", ".join(f"{one} = {one} - make_interval(secs => $1)" for one in columns)
            await self.book.database.execute(f"UPDATE {table} SET {moved}", seconds)

    async def tell(self, *types: str, account_id: int | None = None) -> None:
        """Write messages as a cause does."""
        for number, one in enumerate(types):
            await self.book.database.execute(
                "SELECT tell_endpoints($1, $2, tallybook_now(), jsonb_build_object('n', $3::int))",
                one,
                account_id,
                number,
            )


@pytest.fixture
def hooks(api: Api, book: Book, settings: Settings) -> Hooks:
    return Hooks(api, book, settings)
