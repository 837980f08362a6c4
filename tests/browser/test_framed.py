"""A customer's page in the frame of an application, and from there to Stripe and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest_asyncio
from playwright.async_api import Browser, expect

from app.embedded.ports import free_port
from tests.browser.looking import IN_ONE_LOOP, Reader, reader
from tests.served_pages import ServedBook, served_pages
from tests.stripe_api.fake_stripe import KEY, FakeStripe, serving_stripe

pytestmark = IN_ONE_LOOP


@asynccontextmanager
async def site(port: int) -> AsyncIterator[dict[str, str]]:
    """An application's site on this port, with the pages that are put into the dictionary."""
    pages: dict[str, str] = {}

    async def answer(reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        path = (await reading.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        body = pages.get(path, "").encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        writing.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writing.drain()
        writing.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield pages


@dataclass(frozen=True)
class Shop:
    """An application: its book, the origin that may frame, and its site's pages by path."""

    book: ServedBook
    origin: str
    pages: dict[str, str]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shop() -> AsyncIterator[Shop]:
    """A shop with a book of its own, which knows a Stripe."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    async with (
        serving_stripe(FakeStripe(datetime(2026, 1, 1, tzinfo=UTC))) as stripe,
        served_pages(
            played=False,
            STRIPE_API_KEY=KEY,
            STRIPE_API_BASE=stripe.base,
            TALLYBOOK_PAGE_ORIGINS=origin,
        ) as book,
        site(port) as pages,
    ):
        await book.call("service", "PUT", "/accounts/user-1", json={})
        yield Shop(book, origin, pages)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, shop: Shop) -> AsyncIterator[Reader]:
    """Somebody who comes to the shop."""
    one = await reader(browser, shop.book)
    yield one
    await one.context.close()


async def test_a_named_site_frames_the_page_buys_and_comes_back(
    visitor: Reader, shop: Shop
) -> None:
    wish = {"return_url": f"{shop.origin}/back", "offers": [{"price": "price_pack_100"}]}
    link = await shop.book.call("service", "POST", "/accounts/user-1/page-links", json=wish)
    shop.pages["/"] = f"<h1>A shop</h1><iframe src='{link['url']}' width=800 height=800></iframe>"
    shop.pages["/back"] = "<h1>Back at the shop</h1>"
    page = visitor.page
    await page.goto(f"{shop.origin}/")
    frame = page.frame_locator("iframe")
    await expect(frame.get_by_role("heading", level=1)).to_have_text("Your credits")
    await frame.get_by_role("link", name="View").first.click()
    await expect(frame.get_by_role("heading", level=1)).to_contain_text("Statement of")
    await frame.get_by_role("link", name="Your credits").click()
    # Out of the frame, by the page that leads on, to Stripe's.
    await frame.get_by_role("button", name="100 credits").click()
    await page.wait_for_url("**/pay/cs_test_1")
    assert visitor.complaints == []

    await page.goto(f"{shop.origin}/")
    await frame.get_by_role("link", name="Back").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Back at the shop")


async def test_no_other_site_frames_the_page(visitor: Reader, shop: Shop) -> None:
    link = await shop.book.call("service", "POST", "/accounts/user-1/page-links", json={})
    shop.pages["/"] = f"<h1>Another</h1><iframe src='{link['url']}'></iframe>"
    page = visitor.page
    # The same site by another name is another origin.
    await page.goto(shop.origin.replace("127.0.0.1", "localhost") + "/")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Another")
    await expect(page.frame_locator("iframe").get_by_text("Your credits")).to_have_count(0)
    assert any("frame-ancestors" in told for told in visitor.complaints)
