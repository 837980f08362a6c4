"""Acts of operators in a browser: an account's standing and name, webhooks out, keys."""

from __future__ import annotations

import asyncio

import httpx
from playwright.async_api import expect

from tests.browser.hands import sign_in
from tests.browser.looking import IN_ONE_LOOP, Reader
from tests.served_pages import ServedBook

pytestmark = IN_ONE_LOOP
HOOK = "https://93.184.216.34/hooks"  # public and by number: nothing is looked up, or sent


async def test_an_account_is_suspended_closed_renamed_and_merged(
    somebody: Reader, book: ServedBook
) -> None:
    for name in ("gil-1", "gil-2"):
        await book.call("service", "PUT", f"/accounts/{name}", json={})
    hand = await sign_in(somebody, "operator")
    steps = (
        ("Suspend", "Suspend it", "Suspended. gil-1 has 0 available."),
        ("Resume", "Resume it", "Resumed. gil-1 has 5 available."),
        ("Close", "Close it", "Closed. gil-1 has 5 available."),
        ("Reopen", "Reopen it", "Reopened. gil-1 has 5 available."),
    )
    for heading, button, told in steps:
        await somebody.open("/console/accounts/gil-1/correct")
        before = await book.call("service", "GET", "/accounts/gil-1")
        await hand.rehearse(heading)
        assert await book.call("service", "GET", "/accounts/gil-1") == before
        await hand.button(button)
        await expect(hand.page.locator(".flash.good")).to_have_text(told)

    await somebody.open("/console/accounts/gil-1/correct")
    await hand.rehearse("Rename", New_id="gil-9")
    await expect(hand.page.get_by_text("gil-1 → gil-9")).to_be_visible()
    await hand.button("Rename it")
    await expect(hand.page.get_by_role("heading", level=1)).to_have_text("gil-9")
    assert (await book.call("service", "GET", "/accounts/gil-1"))["id"] == "gil-9"

    await somebody.open("/console/accounts/gil-9/correct")
    await hand.rehearse("Merge into another", **{"The_other_account's_id": "gil-2"})
    await hand.button("Merge it")
    await expect(hand.page.get_by_role("heading", level=1)).to_have_text("gil-2")
    assert (await book.call("service", "GET", "/accounts/gil-1"))["id"] == "gil-2"


async def test_an_endpoint_is_added_sends_again_rolls_its_secret_and_goes(
    somebody: Reader, book: ServedBook
) -> None:
    hand = await sign_in(somebody, "operator")
    page = hand.page
    await hand.link("Webhooks out", within="nav.wide")
    await hand.write("Id", "shop")
    await hand.write("Address", HOOK)
    await page.locator("#f-reason").fill("the shop listens")
    await hand.button("Add it and show its secret once")
    first = await page.get_by_label("The secret").inner_text()
    assert first.startswith("whsec_")
    await hand.link("I have kept it")
    await expect(page.get_by_text("0 messages")).to_be_visible()

    await book.call(
        "operator", "POST", "/accounts/ben-1/grants",
        json={"amount": 1, "reason": "of the tests"}, headers={"Idempotency-Key": "hook-1"},
    )  # fmt: skip
    await book.database.execute(
        "UPDATE webhook_messages SET state = 'delivered', delivered_at = clock_timestamp()"
    )
    await somebody.open("/console/webhooks")
    assert first not in await page.content()
    await page.locator("tbody").get_by_role("link").first.click()
    await page.get_by_label("Reason").fill("they lost it")
    await hand.button("Send again")
    await expect(page.locator(".flash.good")).to_have_text("It is sent again.")
    states = "SELECT count(*) FILTER (WHERE state = 'pending') FROM webhook_messages"
    assert await book.database.fetchval(states) == 1

    async def change(heading: str, button: str, **fields: str) -> None:
        await somebody.open("/console/webhooks")
        await page.get_by_text("Change shop").click()
        form = page.locator("form", has=page.get_by_role("heading", name=heading))
        for label, text in fields.items():
            await form.get_by_label(label, exact=True).fill(text)
        await form.get_by_label("Reason").fill("of the tests")
        await form.get_by_role("button", name=button).click()

    await change("Send again", "Send again", From="2020-01-01", Before="2099-01-01")
    await expect(page.locator(".flash.good")).to_contain_text("sent again")
    await change("Another secret", "Roll the secret")
    assert (await page.get_by_label("The secret").inner_text()) not in ("", first)
    await hand.link("I have kept it")
    await expect(page.get_by_text("The secret before signs too")).to_be_visible()

    await book.database.execute(
        "UPDATE webhook_endpoints"
        " SET disabled_at = clock_timestamp(), disabled_reason = 'no answer'"
    )
    await somebody.open("/console/webhooks")
    await expect(page.get_by_text("no answer")).to_be_visible()
    await somebody.look("console-webhooks-disabled")
    await page.set_viewport_size({"width": 1440, "height": 900})
    await change("Address and types", "Change and enable it")
    await expect(page.get_by_text("disabled", exact=True)).to_have_count(0)
    await change("Delete", "Delete shop")
    await expect(page.get_by_text("Nobody is told of anything")).to_be_visible()


async def test_a_key_is_made_shown_once_and_revoked(somebody: Reader, book: ServedBook) -> None:
    hand = await sign_in(somebody, "operator")
    page = hand.page
    await hand.link("Keys", within="nav.wide")
    await page.get_by_text("Make a key").click()
    await hand.write("Who will hold it", "the shop")
    await page.get_by_label("service: all").check()
    await page.locator("#f-reason").fill("a new back end")
    await hand.button("Make it and show it once")
    token = await page.get_by_label("The secret").inner_text()
    assert token.startswith("tb_")
    await somebody.look("console-secret")
    await page.set_viewport_size({"width": 1440, "height": 900})
    await hand.link("I have kept it")
    row = page.get_by_role("row", name="the shop")
    await expect(row).to_be_visible()
    assert token not in await page.content()

    async def status() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=book.url, headers=headers) as client:
            return (await client.get("/api/v1/accounts/ben-1")).status_code

    assert await status() == 200
    await row.get_by_text("Revoke").first.click()
    await row.get_by_label("Reason").fill("it left")
    await row.get_by_role("button", name="Revoke the shop").click()
    await expect(page.get_by_role("row", name="the shop")).to_contain_text("revoked")
    async with asyncio.timeout(15):  # a server reads the keys again within 2 s
        while await status() != 401:
            await asyncio.sleep(0.1)
