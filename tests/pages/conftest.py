"""An account with a page, and a reader of it without any key."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from typing import Any

import httpx
import pytest

from tests.acts import Acts, subscribe
from tests.api_client import Api


class Pages:
    """Links of accounts, and what stands on their pages."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self, account_id: str = "user-1", **wish: Any) -> httpx.Response:
        """The answer to the wish for a link."""
        return await self.api.client.post(
            f"/api/v1/accounts/{account_id}/page-links",
            json=wish,
            headers=self.api.headers("service"),
        )

    async def path(self, account_id: str = "user-1", **wish: Any) -> str:
        """The path of a new link."""
        answer = await self.made(account_id, **wish)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["path"])

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """The page as somebody without a key gets it."""
        return await self.api.client.get(path, headers={"Accept": "text/html", **headers})

    async def words(self, path: str, status: int = 200) -> str:
        """What is read on the page."""
        answer = await self.get(path)
        assert answer.status_code == status, answer.text
        return words(answer.text)

    async def lines(self, path: str, month: str) -> list[list[str]]:
        """The lines of a month's CSV, but its head."""
        answer = await self.get(f"{path}/statement.csv?month={month}")
        assert answer.status_code == 200, answer.text
        return list(csv.reader(io.StringIO(answer.text)))[1:]


def words(html: str) -> str:
    """The text of a page, on one line."""
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<head>.*?</head>", "", html, flags=re.DOTALL))
    return " ".join(unescape(text).split())


@pytest.fixture
def pages(api: Api) -> Pages:
    return Pages(api)


@pytest.fixture
async def acts(api: Api) -> Acts:
    """The acts of user-1, who has PRO."""
    acts = Acts(api)
    await subscribe(acts, "PRO")
    return acts
