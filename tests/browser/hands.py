"""Somebody at the console: signs in, and clicks and writes by what people read."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from tests.browser.looking import Reader


class Hand:
    """Clicks by what people read, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    async def link(self, name: str, *, within: str = "body") -> None:
        self.clicks += 1
        await self.page.locator(within).get_by_role("link", name=name).first.click()

    async def button(self, name: str) -> None:
        self.clicks += 1
        await self.page.get_by_role("button", name=name).first.click()

    def card(self, heading: str) -> Locator:
        """The part of the page under this heading."""
        headed = self.page.get_by_role("heading", name=heading, exact=True)
        return self.page.locator("section.card", has=headed)

    async def rehearse(self, heading: str, reason: str = "of the tests", **fields: str) -> None:
        """Fill in the form under a heading, up to the dry run."""
        card = self.card(heading)
        for label, text in fields.items():
            await card.get_by_label(label.replace("_", " ")).fill(text)
        await card.get_by_label("Reason").fill(reason)
        await card.get_by_role("button").click()
        await expect(self.page.get_by_text("A dry run: nothing was changed.")).to_be_visible()

    async def write(self, label: str, text: str) -> None:
        await self.page.get_by_label(label).first.fill(text)


async def sign_in(somebody: Reader, scope: str) -> Hand:
    await somebody.page.set_viewport_size({"width": 1440, "height": 900})
    await somebody.open("/console")
    await somebody.page.get_by_label("API key").fill(somebody.book.keys[scope])
    await somebody.page.get_by_role("button", name="Sign in").click()
    await expect(somebody.page.get_by_role("heading", level=1)).to_have_text("Today")
    return Hand(somebody.page)
