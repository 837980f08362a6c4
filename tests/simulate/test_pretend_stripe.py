"""A Stripe to try against: driven by a browser's requests, by Stripe's SDK and by reconcile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import stripe as sdk

from app.allowance.catalogue import default_text, parse
from app.book import Book
from app.embedded.ports import free_port
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators.acts import Operator
from app.reconcile.reconcile import Reconciler
from app.reconcile.store import Finding, begin
from app.simulate.pretend_stripe.api import form
from app.simulate.pretend_stripe.pretend import PretendStripe
from app.simulate.pretend_stripe.serve import KEY, read_account, serving
from app.simulate.price_list import PriceList
from app.stripe_client import StripeApi
from tests.api_client import Api, open_api
from tests.conftest import NOW
from tests.invariants import differences
from tests.simulate.playing import player_with_clock

# Stripe's SDK passes a body to httpx in a way that httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PRICES = PriceList(parse(default_text(), "tiers.toml"))
BACK = {"success_url": "https://app.example/done?s={CHECKOUT_SESSION_ID}"}


@dataclass
class Tried:
    """A book that knows the pretend Stripe, and a browser on its pages."""

    stripe: PretendStripe
    api: Api
    browser: httpx.AsyncClient

    async def checkout(self, account_id: str, price: str, **more: Any) -> str:
        """Ask the book for a Checkout page; return its address."""
        body = {"price": price, **BACK, **more}
        return await self._open(account_id, "checkout", body)

    async def portal(self, account_id: str) -> str:
        """Ask the book for a portal page; return its address."""
        return await self._open(account_id, "portal", {"return_url": "https://app.example/"})

    async def _open(self, account_id: str, kind: str, body: Any) -> str:
        path = f"/api/v1/accounts/{account_id}/{kind}-sessions"
        answer = await self.api.client.post(path, json=body, headers=self.api.headers("service"))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    async def click(self, page: str, label: str, **fields: str) -> httpx.Response:
        """Press a page's button."""
        shown = await self.browser.get(page)
        assert shown.status_code == 200, shown.text
        wanted = rf"action='([^']+)'><button>{re.escape(label)}<"
        found = re.search(wanted, unescape(shown.text))
        assert found is not None, f"no button {label}: {shown.text}"
        return await self.browser.post(found[1], data=fields)

    async def stands(self, account_id: str) -> tuple[str, int]:
        """(tier, available)."""
        account = await self.api.account(account_id)
        return account["tier"], account["available"]


@asynccontextmanager
async def trying(
    database: Database, settings: Settings, folder: Path, file: Path | None = None
) -> AsyncIterator[Tried]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    own = msgspec.structs.replace(settings, stripe_api_key=KEY, stripe_api_base=base)
    async with open_api(database, own) as api:
        player = player_with_clock(api, folder, "")
        stripe = PretendStripe(
            read_account(file), PRICES, base, player.address, file, player.transport
        )
        async with (
            serving(stripe, port),
            httpx.AsyncClient(base_url=base, trust_env=False) as browser,
        ):
            yield Tried(stripe, api, browser)


@pytest.fixture
async def tried(database: Database, settings: Settings, folder: Path) -> AsyncIterator[Tried]:
    async with trying(database, settings, folder) as one:
        await one.api.put("/api/v1/accounts/user-1", {})
        yield one


async def test_a_subscription_is_bought_upgraded_and_canceled_on_the_pages(
    tried: Tried, database: Database
) -> None:
    page = await tried.checkout("user-1", "price_pro_monthly")
    paid = await tried.click(page, "Pay")
    assert paid.status_code == 303
    assert re.fullmatch(r"https://app\.example/done\?s=cs_test_\w+", paid.headers["location"])
    assert await tried.stands("user-1") == ("PRO", 20)
    assert "complete" in (await tried.browser.get(page)).text
    portal = await tried.portal("user-1")
    await tried.click(portal, "Upgrade to price_enterprise_monthly")
    assert await tried.stands("user-1") == ("ENTERPRISE", 50)
    await tried.click(portal, "Cancel at the period's end")
    assert await tried.stands("user-1") == ("ENTERPRISE", 50)
    await tried.click(portal, "Let a payment fail")
    assert (await tried.api.account("user-1"))["state"] == "past_due"
    await tried.click(portal, "Pay the newest invoice")
    assert (await tried.api.account("user-1"))["state"] == "active"
    await tried.click(portal, "Cancel now")
    assert await tried.stands("user-1") == ("FREE", 5)
    assert "No subscription runs" in (await tried.browser.get(portal)).text
    assert await differences(database) == []


async def test_a_declined_card_buys_nothing_and_the_page_can_be_paid_later(tried: Tried) -> None:
    page = await tried.checkout("user-1", "price_pack_100", cancel_url="https://app.example/plans")
    await tried.click(page, "Decline the card")
    assert "The card was declined." in (await tried.browser.get(page)).text
    assert await tried.stands("user-1") == ("FREE", 5)
    left = await tried.click(page, "Leave without paying")
    assert left.headers["location"] == "https://app.example/plans"
    await tried.click(page, "Pay")
    assert await tried.stands("user-1") == ("FREE", 105)
    again = await tried.browser.post(f"{page}/pay")
    assert again.status_code == 400
    assert "This session is complete." in again.text


async def test_a_pack_is_refunded_and_disputed_on_the_overview(tried: Tried) -> None:
    await tried.click(await tried.checkout("user-1", "price_pack_100"), "Pay")
    page = (await tried.browser.get("/")).text
    refund = next(iter(re.findall(r"action='(/charges/[^']+)/refund'", page)))
    assert (await tried.browser.post(f"{refund}/win")).status_code == 404
    await tried.click("/", "Dispute")
    assert await tried.stands("user-1") == ("FREE", 5)
    await tried.click("/", "Win for you")
    assert await tried.stands("user-1") == ("FREE", 105)
    await tried.click("/", "Refund")
    assert await tried.stands("user-1") == ("FREE", 5)


async def test_what_is_kept_back_is_fetched_by_reconcile(tried: Tried, database: Database) -> None:
    for price in ("price_pack_100", "price_enterprise_monthly"):
        page = await tried.checkout("user-1", price)
        await tried.click(page, "Pay", keep_back="on")
    assert await tried.stands("user-1") == ("FREE", 5)
    found: list[Finding] = []
    api = StripeApi(KEY, tried.stripe.base)
    try:
        book = Book(database, stripe=api)
        by = Operator(actor="tests", reason=None)
        one = await begin(database, by, NOW - timedelta(days=1), dry_run=False)
        assert await Reconciler(book, api, one, found.append).run()
    finally:
        await api.close()
    assert await tried.stands("user-1") == ("ENTERPRISE", 150)
    assert {finding.outcome for finding in found} == {"mended"}


@pytest.fixture
async def client(tried: Tried) -> AsyncIterator[sdk.StripeClient]:
    http = sdk.HTTPXClient(allow_sync_methods=False)
    yield sdk.StripeClient(KEY, base_addresses={"api": tried.stripe.base}, http_client=http)
    await http.close_async()


async def until(tried: Tried, account_id: str, wanted: tuple[str, int]) -> None:
    """Wait until the events of the last call arrived: they are sent after its answer."""
    async with asyncio.timeout(10):
        while (
            await tried.api.get(f"/api/v1/accounts/{account_id}")
        ).status_code != 200 or await tried.stands(account_id) != wanted:
            await asyncio.sleep(0.02)


async def test_stripes_sdk_subscribes_upgrades_cancels_and_deletes(
    tried: Tried, client: sdk.StripeClient
) -> None:
    named = {"tallybook_account_id": "sdk-user"}
    customer = await client.v1.customers.create_async({"email": "a@b.example", "metadata": named})
    prices = await client.v1.prices.list_async({"limit": 10})
    assert "price_pro_monthly" in [price.id for price in prices.data]
    one = await client.v1.subscriptions.create_async(
        {"customer": customer.id, "items": [{"price": "price_pro_monthly"}]}
    )
    await until(tried, "sdk-user", ("PRO", 20))
    items = await client.v1.subscription_items.list_async({"subscription": one.id})
    changed = await client.v1.subscriptions.update_async(
        one.id, {"items": [{"id": items.data[0].id, "price": "price_enterprise_monthly"}]}
    )
    assert changed["items"]["data"][0]["price"]["id"] == "price_enterprise_monthly"
    await until(tried, "sdk-user", ("ENTERPRISE", 50))
    await client.v1.subscriptions.cancel_async(one.id)
    await until(tried, "sdk-user", ("FREE", 5))
    assert (await client.v1.subscriptions.list_async()).data == []
    ended = await client.v1.subscriptions.list_async({"status": "all"})
    assert [(sub.id, sub.status) for sub in ended.data] == [(one.id, "canceled")]
    await client.v1.customers.delete_async(customer.id)
    with pytest.raises(sdk.InvalidRequestError, match="No such customer") as refused:
        await client.v1.subscriptions.create_async(
            {"customer": customer.id, "items": [{"price": "price_pro_monthly"}]}
        )
    assert refused.value.code == "resource_missing"


async def test_a_subscription_of_many_items_shows_ten_and_lists_all(
    tried: Tried, client: sdk.StripeClient
) -> None:
    customer = await client.v1.customers.create_async({})
    pro: Any = {"price": "price_pro_monthly"}
    one = await client.v1.subscriptions.create_async({"customer": customer.id, "items": [pro] * 11})
    assert (len(one["items"]["data"]), one["items"]["has_more"]) == (10, True)
    await until(tried, customer.id, ("PRO", 20))
    # What Stripe is asked about counts as of its second, and this clock stands until it is moved.
    await tried.api.set_clock(NOW + timedelta(seconds=5))
    listed = await client.v1.subscription_items.list_async({"subscription": one.id, "limit": 100})
    assert len(listed.data) == 11
    fewer: Any = [{"id": item.id, "deleted": True} for item in listed.data[1:]]
    one = await client.v1.subscriptions.update_async(one.id, {"items": fewer})
    assert (len(one["items"]["data"]), one["items"]["has_more"]) == (1, False)
    more: Any = [{"id": listed.data[0].id, "quantity": 0}, {"price": "price_enterprise_monthly"}]
    one = await client.v1.subscriptions.update_async(one.id, {"items": more})
    told = [(item.price.id, item.quantity) for item in one["items"]["data"]]
    assert told == [("price_pro_monthly", 0), ("price_enterprise_monthly", 1)]
    await until(tried, customer.id, ("ENTERPRISE", 50))
    await client.v1.subscriptions.pause_async(one.id)
    await until(tried, customer.id, ("FREE", 5))


async def test_stripes_sdk_opens_sessions_and_refunds_a_pack(
    tried: Tried, client: sdk.StripeClient
) -> None:
    session = await client.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "line_items": [{"price": "price_pack_100", "quantity": 3}],
            "metadata": {"tallybook_account_id": "user-1"},
            "success_url": "https://app.example/",
        }
    )
    await tried.browser.post(f"{session.url}/pay")
    await until(tried, "user-1", ("FREE", 305))
    seen = await client.v1.checkout.sessions.retrieve_async(session.id)
    refund = await client.v1.refunds.create_async(
        {"payment_intent": str(seen.payment_intent), "amount": 1_000}
    )
    assert refund.status == "succeeded"
    await until(tried, "user-1", ("FREE", 205))
    with pytest.raises(sdk.InvalidRequestError, match="2000 cents can be refunded"):
        await client.v1.refunds.create_async(
            {"payment_intent": str(seen.payment_intent), "amount": 2_001}
        )
    events = await client.v1.events.list_async({"types": ["charge.refunded"], "limit": 5})
    assert [event.type for event in events.data] == ["charge.refunded"]
    assert (await client.v1.events.retrieve_async(events.data[0].id)).id == events.data[0].id


async def test_lists_are_paged_the_newest_first_and_in_both_directions(
    client: sdk.StripeClient,
) -> None:
    made = [(await client.v1.customers.create_async({})).id for _ in range(5)]
    newest = await client.v1.customers.list_async({"limit": 2})
    assert [one.id for one in newest.data] == made[:2:-1]
    assert newest.has_more
    older = await client.v1.customers.list_async({"limit": 9, "starting_after": made[3]})
    assert ([one.id for one in older.data], older.has_more) == (made[2::-1], False)
    back = await client.v1.customers.list_async({"limit": 2, "ending_before": made[0]})
    assert ([one.id for one in back.data], back.has_more) == ([made[2], made[1]], True)


async def test_a_key_answers_once_and_a_wrong_one_is_refused(
    tried: Tried, client: sdk.StripeClient
) -> None:
    create = client.v1.customers.create_async
    first = await create({"email": "a@b.example"}, {"idempotency_key": "k"})
    again = await create({"email": "a@b.example"}, {"idempotency_key": "k"})
    assert first.id == again.id
    with pytest.raises(sdk.IdempotencyError):
        await create({"email": "c@d.example"}, {"idempotency_key": "k"})
    live = await tried.browser.get("/v1/customers", headers={"Authorization": "Bearer sk_live_1"})
    assert live.status_code == 401
    unknown = await tried.browser.get("/v1/coupons", headers={"Authorization": f"Bearer {KEY}"})
    assert unknown.json()["error"]["message"] == "Unrecognized request URL (GET: /v1/coupons)."


async def test_pages_are_used_from_this_machine_alone(tried: Tried) -> None:
    page = await tried.checkout("user-1", "price_pack_100")
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        answer = await tried.browser.post(f"{page}/pay", headers=headers)
        assert answer.status_code == 403, answer.text
    assert await tried.stands("user-1") == ("FREE", 5)


async def test_events_wait_for_a_book_that_is_away_and_a_restart_keeps_all(
    database: Database, settings: Settings, folder: Path
) -> None:
    file = folder / "stripe.json"
    async with trying(database, settings, folder, file) as tried:
        await tried.api.put("/api/v1/accounts/user-1", {})
        page = await tried.checkout("user-1", "price_pro_monthly")
        tried.stripe.book = replace(tried.stripe.book, to="http://127.0.0.1:1")
        tried.stripe.transport = None
        await tried.click(page, "Pay")
        assert await tried.stands("user-1") == ("FREE", 5)
        assert "not delivered" in (await tried.browser.get("/")).text
    async with trying(database, settings, folder, file) as tried:
        await tried.click("/", "Send them")
        assert await tried.stands("user-1") == ("PRO", 20)
        portal = await tried.portal("user-1")
        await tried.click(portal, "Cancel now")
        assert await tried.stands("user-1") == ("FREE", 5)


def test_a_form_is_read_as_stripe_reads_it() -> None:
    said = "a=1&b[c]=2&items[0][price]=p&items[0][quantity]=3&expand[]=x&expand[]=y&e="
    assert form(said) == {
        "a": "1",
        "b": {"c": "2"},
        "items": [{"price": "p", "quantity": "3"}],
        "expand": ["x", "y"],
        "e": "",
    }
