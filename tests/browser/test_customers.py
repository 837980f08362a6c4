"""The customer's page in a browser: what is there, what comes, what was used, statements."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from tests.browser.looking import IN_ONE_LOOP, Reader
from tests.served_pages import ServedBook

pytestmark = IN_ONE_LOOP


async def link(book: ServedBook, account: str, **wish: Any) -> str:
    answer = await book.call("service", "POST", f"/accounts/{account}/page-links", json=wish)
    return str(answer["url"])


async def test_a_customer_sees_what_is_there_and_what_comes(
    somebody: Reader, book: ServedBook
) -> None:
    seen = await book.call("service", "GET", "/accounts/chiyo-1")
    assert await somebody.open(await link(book, "chiyo-1")) == 200
    page = somebody.page
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your credits")
    await expect(page.get_by_text("Available now")).to_be_visible()
    await expect(page.locator(".figure.large dd")).to_contain_text(str(seen["available"]))
    await expect(page.get_by_role("img", name="Used in the last 30 days")).to_be_visible()
    await page.get_by_text("The figures as a table").click()
    await expect(page.get_by_role("table", name="").first).to_be_visible()
    await somebody.open(await link(book, "chiyo-1"))
    await somebody.look("customer")


async def test_a_statement_is_printed_and_downloaded(somebody: Reader, book: ServedBook) -> None:
    await somebody.open(await link(book, "chiyo-1", accent="#0a7d5c"))
    page = somebody.page
    await page.get_by_role("link", name="View January 2026").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Statement of January 2026")
    await somebody.look("statement")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Download CSV").click()
    assert (await coming.value).suggested_filename == "statement-2026-01.csv"
    await page.get_by_role("link", name="Your credits").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your credits")


async def test_a_page_in_the_application_s_colour_and_theme(
    somebody: Reader, book: ServedBook
) -> None:
    page = await link(book, "ben-1", accent="#ffd400", theme="dark")
    assert await somebody.open(page) == 200
    await somebody.look("customer-accent")


async def test_a_link_that_is_none_is_a_page(somebody: Reader, book: ServedBook) -> None:
    changed = (await link(book, "ben-1"))[:-2] + "xx"
    assert await somebody.open(changed) == 403
    await somebody.look("customer-refused")
