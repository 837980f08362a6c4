"""Every page of the console, found by its links, as an operator sees it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.hands import sign_in
from tests.browser.looking import IN_ONE_LOOP, Reader
from tests.served_pages import ServedBook

pytestmark = IN_ONE_LOOP
# What is one page for many things is looked at once.
_ID = re.compile(
    r"(?<=/)((evt|jrn|run|sub|lot|hld|rev|msg|cus|vrf)_[\w-]+|[a-z]+-1|\d+|tb_\w+|[a-z0-9]{10})(?=/|$)"
)
_LEFT_OUT = ("/export/", "format=", ".csv", "sign-out")


async def test_the_door_is_a_page_for_everybody(somebody: Reader) -> None:
    assert await somebody.open("/console") == 200
    await somebody.look("console-sign-in")


async def test_on_a_phone_the_menu_opens_by_the_keyboard(somebody: Reader) -> None:
    await sign_in(somebody, "auditor")
    page = somebody.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.get_by_text("Menu", exact=True).focus()
    await page.keyboard.press("Enter")
    menu = page.get_by_role("navigation", name="Menu")
    await expect(menu.get_by_role("link", name="Inbox")).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_in_viewport()
    await somebody.look("console-menu")
    await page.set_viewport_size({"width": 390, "height": 844})
    await menu.get_by_role("link", name="Inbox").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")


@pytest.mark.timeout(600)
async def test_every_page_of_the_console_is_one_for_everybody(
    somebody: Reader, book: ServedBook
) -> None:
    await sign_in(somebody, "operator")
    waiting, seen = [urlsplit(somebody.page.url).path], set[str]()
    while waiting:
        path = waiting.pop(0)
        kind = _ID.sub("ID", urlsplit(path).path)
        if kind in seen:
            continue
        seen.add(kind)
        assert await somebody.open(path) == 200, path
        await somebody.look(
            "console-" + (kind.removeprefix("/console").strip("/") or "today").replace("/", "-")
        )
        links = await somebody.page.eval_on_selector_all(
            "a[href]", "all => all.map(one => one.getAttribute('href'))"
        )
        waiting += [
            one
            for one in links
            if one.startswith("/console") and not any(part in one for part in _LEFT_OUT)
        ]
    assert len(seen) > 12
