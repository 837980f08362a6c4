"""Stripe's hosted pages: what an account may buy there, and what Stripe is told of it."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
import stripe as sdk

from app.accounts import put, standing
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators.acts import Operator
from tests.api_client import Api, open_api
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_api.fake_stripe import KEY, FakeStripe
from tests.stripe_events import make_subscription_event

BACK = {
    "success_url": "https://app.example/done?s={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://app.example/plans",
}


async def checkout(api: Api, account_id: str, key: str = "", **body: Any) -> httpx.Response:
    return await _post(
        api, f"/api/v1/accounts/{account_id}/checkout-sessions", {**BACK, **body}, key
    )


async def portal(api: Api, account_id: str, key: str = "", **body: Any) -> httpx.Response:
    body = body or {"return_url": "https://app.example/"}
    return await _post(api, f"/api/v1/accounts/{account_id}/portal-sessions", body, key)


async def _post(api: Api, path: str, body: Any, key: str) -> httpx.Response:
    more = {"Idempotency-Key": key} if key else {}
    return await api.client.post(path, json=body, headers=api.headers("service", **more))


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_a_tiers_price_begins_a_subscription_that_names_the_account(
    stripe: FakeStripe, stripe_service: Api
) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    answer = await checkout(stripe_service, "user-1", price="price_pro_monthly", quantity=3)
    assert answer.status_code == 201, answer.text
    assert answer.json() == {"id": "cs_test_1", "url": f"{stripe.base}/pay/cs_test_1"}
    named = {"tallybook_account_id": "user-1"}
    assert stripe.calls[-1].params == {
        "mode": "subscription",
        "customer": "cus_1",
        "client_reference_id": "user-1",
        "line_items": [{"price": "price_pro_monthly", "quantity": "3"}],
        "metadata": named,
        "subscription_data": {"metadata": named},
        **BACK,
    }


async def test_a_packs_price_is_paid_once_and_its_buyer_becomes_a_customer(
    stripe: FakeStripe, stripe_service: Api
) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {})
    answer = await checkout(stripe_service, "user-1", price="price_pack_100", cancel_url=None)
    assert answer.status_code == 201, answer.text
    named = {
        "tallybook_account_id": "user-1",
        "tallybook_pack": "P100",
        "tallybook_quantity": "1",
    }
    assert stripe.calls[-1].params == {
        "mode": "payment",
        "client_reference_id": "user-1",
        "customer_creation": "always",
        "line_items": [{"price": "price_pack_100", "quantity": "1"}],
        "metadata": named,
        "payment_intent_data": {"metadata": named},
        "success_url": BACK["success_url"],
    }


async def test_an_account_under_its_customers_id_buys_as_that_customer(
    stripe: FakeStripe, stripe_service: Api
) -> None:
    await stripe_service.deliver(make_subscription_event("evt_1", "created", NOW))
    answer = await checkout(stripe_service, "cus_1", price="price_enterprise_monthly")
    assert answer.status_code == 201, answer.text
    sent = stripe.calls[-1].params
    assert sent["customer"] == "cus_1"
    assert "client_reference_id" not in sent


async def test_the_portal_shows_the_accounts_customer(
    stripe: FakeStripe, stripe_service: Api
) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    answer = await portal(stripe_service, "user-1")
    assert (answer.status_code, answer.json()) == (201, {"url": f"{stripe.base}/portal/cus_1"})
    assert stripe.calls[-1].params["return_url"] == "https://app.example/"


async def test_one_key_opens_one_session(stripe: FakeStripe, stripe_service: Api) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    first = await checkout(stripe_service, "user-1", "key-1", price="price_pro_monthly")
    again = await checkout(stripe_service, "user-1", "key-1", price="price_pro_monthly")
    assert first.json() == again.json()
    other = await checkout(stripe_service, "user-1", "key-1", price="price_pro_yearly")
    assert told(other) == (422, "idempotency_key_reused")
    assert told(await portal(stripe_service, "user-1", "key-1")) == (422, "idempotency_key_reused")
    apart = await checkout(stripe_service, "user-1", price="price_pro_monthly")
    assert apart.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("price", ["price_unknown", "price_pro"])
async def test_a_price_outside_the_catalogue_is_not_sold(stripe, stripe_service, price) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {})
    answer = await checkout(stripe_service, "user-1", price=price)
    assert told(answer) == (422, "price_unknown")
    assert stripe.calls == []


async def test_packs_are_sold_one_at_a_time(stripe, stripe_service) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {})
    answer = await checkout(stripe_service, "user-1", price="price_pack_100", quantity=2)
    assert told(answer) == (422, "refused")
    assert stripe.calls == []


async def test_nobody_buys_for_an_account_that_is_not_there_or_closed(
    stripe, stripe_service, book
) -> None:
    nobody = await checkout(stripe_service, "user-1", price="price_pro_monthly")
    assert told(nobody) == (404, "account_unknown")
    await put.put(book, "user-1", "cus_1", None, "tests")
    await standing.close(book, "user-1", Operator(actor="tests", reason=None))
    closed = await checkout(stripe_service, "user-1", price="price_pro_monthly")
    assert told(closed) == (409, "account_closed")
    assert told(await portal(stripe_service, "user-1")) == (409, "account_closed")
    assert stripe.calls == []


async def test_who_never_was_a_customer_has_no_portal(stripe, stripe_service) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {})
    assert told(await portal(stripe_service, "user-1")) == (409, "no_customer")
    assert stripe.calls == []


async def test_without_a_key_stripe_is_not_configured(api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    refused = await checkout(api, "user-1", price="price_pro_monthly")
    assert told(refused) == (409, "stripe_not_configured")
    assert told(await portal(api, "user-1")) == (409, "stripe_not_configured")


@pytest.mark.parametrize("fault", ["500", "hangs up", "no json", "429"])
async def test_a_stripe_that_fails_is_told_and_may_be_tried_again(
    stripe, stripe_service, database, fault, monkeypatch
) -> None:
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0.01)
    await stripe_service.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    stripe.faults = [fault] * 3
    answer = await checkout(stripe_service, "user-1", "key-1", price="price_pro_monthly")
    assert told(answer) == (502, "stripe_failed")
    assert answer.json()["retryable"]
    assert KEY not in answer.text
    stripe.faults = []
    again = await checkout(stripe_service, "user-1", "key-1", price="price_pro_monthly")
    assert again.status_code == 201
    assert await differences(database) == []


async def test_what_stripe_refuses_is_told_in_its_words(stripe, stripe_service, book) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    stripe.withdrawn.add("price_pro_monthly")
    answer = await checkout(stripe_service, "user-1", price="price_pro_monthly")
    assert told(answer) == (502, "stripe_failed")
    assert "inactive" in answer.json()["detail"]
    assert not answer.json()["retryable"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"success_url": "javascript:alert(1)"},
        {"success_url": "ftp://x"},
        {"cancel_url": "/plans"},
        {"success_url": "https://x/" + "a" * 2_000},
        {"success_url": "https://x/ y"},
        {"success_url": "https://user:pw@evil.example/"},
        {"success_url": "https://shop.example@evil.example/"},
        {"cancel_url": "https://shop.example\\@evil.example/"},
        {"success_url": "https:///nowhere"},
        {"quantity": 0},
        {"quantity": 1_001},
        {"quantity": "1"},
        {"mode": "setup"},
        {"price": "a price"},
        {"price": ""},
    ],
)
async def test_what_is_no_address_or_no_order_is_refused(stripe, stripe_service, wrong) -> None:
    await stripe_service.put("/api/v1/accounts/user-1", {})
    answer = await checkout(stripe_service, "user-1", **{"price": "price_pro_monthly", **wrong})
    assert told(answer) == (400, "invalid_request")
    assert stripe.calls == []


ELSEWHERE = (
    "https://evil.example/",
    "https://shop.example.evil.example/",
    "https://evil.example/?https://shop.example",
    "http://shop.example/",
    "https://shop.example:8443/",
    "https://shop.example:99999/",
    "https://sub.shop.example/",
)


async def test_users_are_sent_back_to_the_origins_that_are_set_alone(
    database: Database, stripe_settings: Settings, stripe: FakeStripe
) -> None:
    origins = frozenset({"https://shop.example", "http://127.0.0.1:3000"})
    wanted = msgspec.structs.replace(stripe_settings, return_origins=origins)
    async with open_api(database, wanted) as api:
        await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
        ours = {"success_url": "https://shop.example/done", "cancel_url": None}
        for url in ELSEWHERE:
            for body in ({**ours, "success_url": url}, {**ours, "cancel_url": url}):
                answer = await checkout(api, "user-1", price="price_pro_monthly", **body)
                assert told(answer) == (422, "return_url"), url
            assert told(await portal(api, "user-1", return_url=url)) == (422, "return_url"), url
        assert stripe.calls == []
        for url in (
            "https://shop.example",
            "https://Shop.Example:443/account?tab=2#top",
            "http://127.0.0.1:3000/",
        ):
            assert (await portal(api, "user-1", return_url=url)).status_code == 201, url
