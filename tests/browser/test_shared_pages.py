"""The pages that everybody has: the choice of a zone, and errors."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.looking import IN_ONE_LOOP, Reader

pytestmark = IN_ONE_LOOP


async def test_a_zone_is_chosen_by_keyboard_and_kept(somebody: Reader) -> None:
    assert await somebody.open("/zone?back=/zone") == 200
    page = somebody.page
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Zone")).to_be_focused()
    await page.get_by_label("Zone").select_option("Asia/Tokyo")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Zone")).to_have_value("Asia/Tokyo")
    (cookie,) = await somebody.context.cookies()
    assert (cookie["name"], cookie["value"].strip('"')) == ("tallybook_zone", "Asia/Tokyo")
    assert cookie["httpOnly"]


async def test_the_choice_of_a_zone_is_a_page_for_everybody(somebody: Reader) -> None:
    assert await somebody.open("/zone") == 200
    await somebody.look("zone")


async def test_an_error_is_a_page_for_everybody(somebody: Reader) -> None:
    assert await somebody.open("/zone?other=1") == 400
    await somebody.look("error")
