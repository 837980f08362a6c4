"""One browser and one served book for all pages that a worker looks at, in one event loop.

Each module here says `pytestmark = IN_ONE_LOOP`: a browser belongs to the loop that began it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from ops import chromium
from tests.browser.looking import Reader, reader
from tests.served_pages import ServedBook, served_pages


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The machine's Chromium; without one these tests are skipped, or fail where it is required."""
    found = chromium.path()
    if found is None:
        (pytest.fail if chromium.required() else pytest.skip)(chromium.ABSENT)
    async with async_playwright() as playwright:
        # Its sandbox needs rights that a container seldom gives; it sees our own pages alone.
        one = await playwright.chromium.launch(executable_path=found, chromium_sandbox=False)
        yield one
        await one.close()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def book(browser: Browser) -> AsyncIterator[ServedBook]:
    """The demo's customers in a served book; made only where there is a browser to see it."""
    async with served_pages() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def somebody(browser: Browser, book: ServedBook) -> AsyncIterator[Reader]:
    """A reader whose browser knows nothing yet."""
    one = await reader(browser, book)
    yield one
    await one.context.close()
