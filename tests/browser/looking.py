"""A look at a page as people have it: two widths, two themes, axe-core, and a picture of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.served_pages import ServedBook

IN_ONE_LOOP: Final = pytest.mark.asyncio(loop_scope="session")
PICTURES: Final = Path(__file__).parents[2] / ".pictures"  # kept for whoever looks; git ignores it
WIDTHS: Final = {390: 844, 1440: 900}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
# What axe-core is asked of: each width and each theme once.
JUDGED: Final = {(390, "dark"), (1440, "light")}
_RULES: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}

# Rows that look like two before them: the same elements, classes and attributes, with text at the
# same places. axe-core takes ten seconds for a hundred rows, and finds of each look what it finds
# of two. They are put aside while it looks.
_PUT_ASIDE: Final = """() => {
  const told = one => [one.tagName, one.className, one.getAttributeNames().join(),
    one.getAttribute('data-head') || '', one.textContent.trim() ? 'text' : '',
    [...one.children].map(told).join()].join(' ');
  window.aside = [];
  for (const list of document.querySelectorAll('tbody, ol, ul')) {
    const seen = {};
    for (const row of [...list.children]) {
      const look = told(row);
      seen[look] = (seen[look] || 0) + 1;
      if (seen[look] > 2) {
        const place = document.createComment('');
        row.replaceWith(place);
        window.aside.push([place, row]);
      }
    }
  }
}"""
_PUT_BACK: Final = "() => window.aside.forEach(([place, row]) => place.replaceWith(row))"


class Reader:
    """Somebody at a browser of their own: cookies, and what their pages complained of."""

    def __init__(self, context: BrowserContext, page: Page, book: ServedBook) -> None:
        self.context = context
        self.page = page
        self.book = book
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", self._heard)
        page.on("request", self._asked)

    async def open(self, path: str) -> int:
        """Go to a path of the book, or to an address; the status."""
        answer = await self.page.goto(path if "://" in path else self.book.url + path)
        assert answer is not None
        return answer.status

    async def look(self, name: str) -> None:
        """Look at the page that is open, at both widths and in both themes.

        It fails when axe-core finds a violation, something sticks out at the side, the policy
        blocked something, or anything was asked of another server.
        """
        PICTURES.mkdir(exist_ok=True)
        found: list[str] = []
        for width, height in WIDTHS.items():
            await self.page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                await self.page.emulate_media(color_scheme=scheme)
                found += await self._seen(
                    f"{name}-{width}-{scheme}", width, (width, scheme) in JUDGED
                )
        assert found == []
        assert self.complaints == []
        assert self.elsewhere == []

    async def _seen(self, name: str, width: int, judged: bool) -> list[str]:
        await self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        whole = await self.page.evaluate("document.scrollingElement.scrollWidth")
        found = [f"{name}: {whole} pixels wide"] if whole > width else []
        if not judged:
            return found
        await self.page.evaluate(_PUT_ASIDE)
        told = await Axe().run(self.page, options=_RULES)
        await self.page.evaluate(_PUT_BACK)
        return found + [
            f"{name}: {one['id']}: {node['html'][:160]} ({node['failureSummary']})"
            for one in told.response["violations"]
            for node in one["nodes"]
        ]

    def _heard(self, message: ConsoleMessage) -> None:
        # A page that answers 403 is told by Chromium as a resource that failed to load.
        told = re.search("Failed to load resource", message.text)
        if message.type in ("error", "warning") and not told:
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.book.url, "data:")):
            self.elsewhere.append(request.url)


async def reader(browser: Browser, book: ServedBook) -> Reader:
    """A new reader, whose browser knows nothing yet."""
    context = await browser.new_context(
        locale="en-GB", timezone_id="Europe/Berlin", reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    return Reader(context, await context.new_page(), book)
