"""Who is let in in a browser: each scope's refusals, forms of other sites, sessions that ended."""

from __future__ import annotations

from playwright.async_api import expect

from app.embedded.ports import free_port
from tests.browser.hands import sign_in
from tests.browser.looking import IN_ONE_LOOP, Reader
from tests.browser.test_framed import site
from tests.served_pages import ServedBook

pytestmark = IN_ONE_LOOP
CORRECT = "/console/accounts/ada-1/correct"
ACTS = "SELECT count(*) FROM operator_acts"


async def test_keys_of_applications_and_wrong_ones_open_nothing(
    somebody: Reader, book: ServedBook
) -> None:
    page = somebody.page
    wrong = book.keys["auditor"][:-4] + "0000"
    for key, told in (
        (book.keys["service"], "This key is for applications."),
        (book.keys["read"], "This key is for applications."),
        (book.keys["spend"], "This key is for applications."),
        (wrong, "key"),
    ):
        await somebody.open("/console")
        await page.get_by_label("API key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator(".error")).to_contain_text(told)
        assert await somebody.context.cookies() == []
    await somebody.look("console-refused")


async def test_an_auditor_finds_no_act_and_is_told_who_may(
    somebody: Reader, book: ServedBook
) -> None:
    hand = await sign_in(somebody, "auditor")
    page = hand.page
    menu = page.locator("nav.wide")
    await expect(menu.get_by_role("link", name="Keys")).to_be_visible()
    await expect(menu.get_by_role("link", name="Webhooks out")).to_have_count(0)
    for path in ("/console/accounts/ada-1", "/console/runs", "/console/keys", "/console/ledger"):
        await somebody.open(path)
        await expect(page.locator("main form[method=post]")).to_have_count(0)
    for path in (CORRECT, "/console/webhooks"):
        assert await somebody.open(path) == 403
        await expect(page.get_by_text("which has no operator scope")).to_be_visible()
    await somebody.look("console-forbidden")


async def test_a_form_of_another_site_does_nothing(somebody: Reader, book: ServedBook) -> None:
    hand = await sign_in(somebody, "operator")
    page = hand.page
    await somebody.open(CORRECT)
    token = await page.locator("input[name=form_token]").first.input_value()
    before = await book.database.fetchval(ACTS)
    port = free_port()
    async with site(port) as pages:
        # Even one that knows the token: browsers send the cookie along, and say from where.
        pages["/"] = f"""<form method=post action="{book.url}/console/accounts/ada-1/acts/suspend">
            <input name=form_token value={token}><input name=reason value=x>
            <input name=act_key value=k1><input name=step value=confirm>
            <button>Win</button></form>"""
        for host in ("127.0.0.1", "localhost"):
            await page.goto(f"http://{host}:{port}/")
            await page.get_by_role("button", name="Win").click()
            await expect(page.get_by_text("sent by a page of another site")).to_be_visible()
    assert await book.database.fetchval(ACTS) == before


async def test_a_form_of_a_session_that_ended_does_nothing(
    somebody: Reader, book: ServedBook
) -> None:
    hand = await sign_in(somebody, "operator")
    page = hand.page
    before = await book.database.fetchval(ACTS)

    async def suspend() -> None:
        await hand.card("Suspend").get_by_label("Reason").fill("too late")
        await hand.card("Suspend").get_by_role("button").click()

    await somebody.open(CORRECT)
    await book.database.execute(
        "UPDATE console_sessions SET last_seen_at = last_seen_at - interval '31 minutes'"
    )
    await suspend()
    await expect(page.get_by_text("Nothing was changed")).to_be_visible()
    await somebody.look("console-session-ended")
    await page.set_viewport_size({"width": 1440, "height": 900})

    # Signed in again in another tab: the form that is still open is of the session before.
    await sign_in(somebody, "operator")
    await somebody.open(CORRECT)
    other = await somebody.context.new_page()
    await other.goto(f"{book.url}/console/keys")
    await other.get_by_role("button", name="Sign out", exact=True).click()
    await other.get_by_label("API key").fill(book.keys["operator"])
    await other.get_by_role("button", name="Sign in").click()
    await expect(other.get_by_role("heading", level=1)).to_have_text("Today")
    await suspend()
    await expect(page.get_by_text("Open the page again")).to_be_visible()
    assert await book.database.fetchval(ACTS) == before
