"""Tasks at the console as people do them in a browser, and how many clicks each takes."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import httpx
from playwright.async_api import expect

from app.webhooks.signature import sign
from tests.browser.hands import sign_in
from tests.browser.looking import IN_ONE_LOOP, Reader
from tests.served_pages import SECRET, ServedBook
from tests.stripe_events import make_subscription_event

pytestmark = IN_ONE_LOOP


async def test_why_somebody_has_so_few_credits_is_two_clicks(somebody: Reader) -> None:
    hand = await sign_in(somebody, "auditor")
    await hand.write("Find an account", "fay-1")
    await hand.button("Find")
    await expect(hand.page.get_by_text("Available")).to_be_visible()
    await hand.link("Today", within="main")
    await expect(hand.page.locator(".answer")).to_contain_text("3 credits were spent")
    await expect(hand.page.locator(".answer")).to_contain_text("leaves 2 credits")
    assert hand.clicks == 2
    await hand.link("3", within="main")
    await expect(hand.page.get_by_role("heading", level=1)).to_have_text("Ledger")


async def test_a_run_is_taken_back_in_four_clicks(somebody: Reader, book: ServedBook) -> None:
    hand = await sign_in(somebody, "operator")
    await hand.link("Runs", within="nav.wide")
    # Yesterday's: what it gave has expired since, and no other test's credits are taken.
    await hand.link("4 Feb 2026, 00:00 UTC")
    await hand.write("Reason", "the prices were wrong")
    await hand.button("Show what it would take back")
    await expect(hand.page.get_by_text("A dry run: nothing was changed.")).to_be_visible()
    assert await book.database.fetchval("SELECT count(*) FROM reversals") == 0
    await somebody.look("console-confirm")
    await hand.page.set_viewport_size({"width": 1440, "height": 900})
    await hand.button("Take it back")
    assert hand.clicks == 4
    await expect(hand.page.locator(".flash")).to_contain_text("credits reversed")
    await somebody.look("console-reversal")


async def test_a_parked_event_is_replayed_in_three_clicks(
    somebody: Reader, book: ServedBook
) -> None:
    event = make_subscription_event(
        "evt_parked", "created", datetime(2026, 2, 5, tzinfo=UTC), price="price_of_nobody",
        subscription="sub_parked", customer="cus_parked",
    )  # fmt: skip
    payload = json.dumps(event).encode()
    async with httpx.AsyncClient(base_url=book.url) as client:
        answer = await client.post(
            "/api/webhooks/stripe",
            content=payload,
            headers={"Stripe-Signature": sign(payload, SECRET, int(time.time()))},
        )
    assert answer.json()["outcome"] == "parked"
    hand = await sign_in(somebody, "operator")
    await hand.link("1 event from Stripe waits for a person.")
    await hand.link("evt_parked")
    await hand.write("Reason", "the price is in the catalogue now")
    await hand.button("Replay")
    assert hand.clicks == 3
    await expect(hand.page.locator(".flash.warn").first).to_contain_text("came to parked")


async def test_a_month_is_exported_in_three_clicks(somebody: Reader) -> None:
    hand = await sign_in(somebody, "auditor")
    await hand.link("Ledger", within="nav.wide")
    await hand.link("Export", within="main")
    async with hand.page.expect_download() as coming:
        await hand.link("January 2026 as CSV")
    assert hand.clicks == 3
    assert (await coming.value).suggested_filename == "entries-2026-01.csv"


async def test_credits_are_granted_after_they_were_shown(
    somebody: Reader, book: ServedBook
) -> None:
    before = (await book.call("service", "GET", "/accounts/fay-1"))["balance"]
    hand = await sign_in(somebody, "operator")
    await somebody.open("/console/accounts/fay-1")
    await hand.link("Correct", within="main")
    card = hand.page.locator("section", has=hand.page.get_by_role("heading", name="Grant credits"))
    await card.get_by_label("Credits").fill("10")
    await card.get_by_label("Reason").fill("an apology")
    await card.get_by_role("button").click()
    await expect(hand.page.get_by_text(f"{before} → {before + 10}").first).to_be_visible()
    # Two clicks so fast that the second form is sent before the first is answered.
    await hand.page.get_by_role("button", name="Grant them").dblclick()
    await expect(hand.page.locator(".flash.good")).to_contain_text("Granted.")
    assert (await book.call("service", "GET", "/accounts/fay-1"))["balance"] == before + 10


async def test_who_was_signed_out_comes_back_to_the_page_they_asked_for(
    somebody: Reader, book: ServedBook
) -> None:
    await sign_in(somebody, "auditor")
    await book.database.execute("DELETE FROM console_sessions")
    await somebody.open("/console/runs")
    page = somebody.page
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    # By keyboard alone: past the links to the field, and Enter.
    await page.get_by_label("API key").focus()
    await page.keyboard.type(book.keys["auditor"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    await expect(page.get_by_role("button", name="Show what it would do")).to_have_count(0)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    focused = await page.evaluate("document.activeElement.closest('main') !== null")
    assert focused


async def test_a_verification_shows_its_progress_and_its_end(somebody: Reader) -> None:
    hand = await sign_in(somebody, "auditor")
    await somebody.open("/console/verify")
    await hand.button("Verify the ledger")
    good = hand.page.get_by_text(re.compile("Every check holds"))
    await expect(good).to_be_visible(timeout=60_000)
    await somebody.look("console-verified")
