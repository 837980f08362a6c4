"""Checkout and the portal from a customer's page: what is offered, to whom, and where it leads."""

from __future__ import annotations

import re

import httpx
import pytest
import stripe as sdk

from tests.acts import Acts, subscribe
from tests.api_client import Api
from tests.pages.conftest import Pages, words
from tests.stripe_api.fake_stripe import FakeStripe

OFFERS = [
    {"price": "price_pro_monthly", "label": "PRO, monthly"},
    {"price": "price_enterprise_monthly"},
    {"price": "price_pack_100"},
]


@pytest.fixture
def pages(stripe_service: Api) -> Pages:
    return Pages(stripe_service)


def onward(answer: httpx.Response) -> str:
    """Where the page leads, by itself and by its link."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    (refresh,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    assert f'href="{refresh}"' in answer.text
    return refresh.replace("&amp;", "&")


def buttons(html: str) -> list[str]:
    return [words(one) for one in re.findall(r"<button.*?</button>", html)]


async def test_a_customer_buys_what_the_link_offers(stripe: FakeStripe, pages: Pages) -> None:
    await pages.api.put("/api/v1/accounts/user-1", {})
    path = await pages.path(offers=OFFERS)
    assert buttons((await pages.get(path)).text) == [
        "PRO, monthly",
        "ENTERPRISE: 50 a day",
        "100 credits",
    ]
    answer = await pages.api.client.post(f"{path}/checkout", data={"price": "price_pack_100"})
    assert onward(answer) == f"{stripe.base}/pay/cs_test_1"
    params = stripe.calls[-1].params
    assert params["success_url"] == f"http://tallybook.test{path}?back=bought"
    assert params["cancel_url"] == f"http://tallybook.test{path}"
    assert params["client_reference_id"] == "user-1"
    assert "Thank you." in await pages.words(f"{path}?back=bought")


async def test_whoever_subscribes_already_is_led_to_the_portal(
    stripe: FakeStripe, pages: Pages
) -> None:
    await subscribe(Acts(pages.api), "PRO")
    path = await pages.path(offers=OFFERS, return_url="https://shop.example/account")
    assert buttons((await pages.get(path)).text) == ["Manage billing", "100 credits"]
    answer = await pages.api.client.post(f"{path}/portal")
    assert onward(answer).startswith(stripe.base)
    assert stripe.calls[-1].params == {
        "customer": "cus_user-1",
        "return_url": "https://shop.example/account",
    }


async def test_another_site_s_form_opens_nothing(stripe: FakeStripe, pages: Pages) -> None:
    await subscribe(Acts(pages.api), "PRO")
    path = await pages.path(offers=OFFERS)
    before = len(stripe.calls)
    for way, data in (("portal", {}), ("checkout", {"price": "price_pack_100"})):
        answer = await pages.api.client.post(
            f"{path}/{way}", data=data, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code == 403
        assert (await pages.api.client.get(f"{path}/{way}")).status_code == 405
    assert len(stripe.calls) == before


async def test_only_what_the_link_offers_is_sold(stripe: FakeStripe, pages: Pages) -> None:
    await pages.api.put("/api/v1/accounts/user-1", {})
    path = await pages.path(offers=OFFERS[:1])
    before = len(stripe.calls)
    answer = await pages.api.client.post(f"{path}/checkout", data={"price": "price_pack_100"})
    assert answer.status_code == 404
    assert len(stripe.calls) == before


async def test_a_failure_of_stripe_is_a_page(
    stripe: FakeStripe, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pages.api.put("/api/v1/accounts/user-1", {})
    path = await pages.path(offers=OFFERS)
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0.01)
    stripe.faults = ["500"] * 3
    answer = await pages.api.client.post(f"{path}/checkout", data={"price": "price_pack_100"})
    assert answer.status_code == 502
    assert "Stripe did not answer as it should." in words(answer.text)
    assert "told to fail" not in answer.text  # Stripe's own words may tell of prices and keys


async def test_a_closed_account_buys_nothing(stripe: FakeStripe, pages: Pages) -> None:
    acts = Acts(pages.api)
    await subscribe(acts, "PRO")
    path = await pages.path(offers=OFFERS)
    await acts.post("accounts/user-1/close", {"reason": "x"}, scope="operator")
    assert buttons((await pages.get(path)).text) == []


async def test_without_a_key_of_stripe_s_nothing_is_offered(api: Api) -> None:
    pages = Pages(api)
    await subscribe(Acts(api), "PRO")
    path = await pages.path(offers=OFFERS)
    assert buttons((await pages.get(path)).text) == []
    answer = await api.client.post(f"{path}/portal")
    assert answer.status_code == 409
    assert "STRIPE" not in answer.text
