"""Browsers of the console: a cookie jar, signed in by a key of one scope."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.api_client import BASE, Api

TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


class Browser:
    """A browser without a script: it keeps cookies, and follows what an answer says."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = ""

    async def get(self, path: str, status: int = 200, **params: Any) -> str:
        """Open a page; its text."""
        answer = await self.client.get(path, params=params or None, follow_redirects=True)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-3000:])
        self.page = answer.text
        return answer.text

    async def sign_in(self, key: str) -> httpx.Response:
        """Send the form of the sign-in page."""
        return await self.client.post("/console/sign-in", data={"key": key})

    @property
    def form_token(self) -> str:
        """The session's token, of the page that was opened last."""
        found = TOKEN.search(self.page)
        assert found is not None, "the page has no form"
        return found[1]

    def act_key(self, nth: int = 0) -> str:
        """The key that was drawn into the nth form of an act on the page."""
        return re.findall(r'name="act_key" value="([^"]+)"', self.page)[nth]  # type: ignore[no-any-return]

    async def send(self, path: str, **fields: object) -> httpx.Response:
        """Send a form of this session; nothing is followed."""
        return await self.client.post(path, data={"form_token": self.form_token, **fields})

    async def act(self, path: str, **fields: object) -> str:
        """Send a form and open the page that it leads to; its text."""
        answer = await self.send(path, **fields)
        assert answer.status_code == 303, (answer.status_code, answer.text[-3000:])
        return await self.get(answer.headers["location"])


@pytest.fixture
async def new_browser(api: Api) -> AsyncIterator[Callable[[], Browser]]:
    """Makes browsers of the service, each with cookies of its own."""
    opened: list[httpx.AsyncClient] = []

    def make() -> Browser:
        opened.append(httpx.AsyncClient(transport=api.client._transport, base_url=BASE))
        return Browser(opened[-1])

    yield make
    for client in opened:
        await client.aclose()


async def signed_in(browser: Browser, key: str) -> Browser:
    answer = await browser.sign_in(key)
    assert answer.status_code == 303, answer.text
    await browser.get(answer.headers["location"])
    return browser


@pytest.fixture
async def auditor(new_browser: Callable[[], Browser], api: Api) -> Browser:
    """Signed in by an auditor's key."""
    return await signed_in(new_browser(), api.tokens["auditor"])


@pytest.fixture
async def operator(new_browser: Callable[[], Browser], api: Api) -> Browser:
    """Signed in by an operator's key."""
    return await signed_in(new_browser(), api.tokens["operator"])
