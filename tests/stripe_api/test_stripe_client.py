"""Stripe's API over a real socket: pages, Stripe's clock, and every way in which it fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import stripe as sdk

from app import stripe_client
from app.errors import (
    KeyReusedError,
    StripeFailedError,
    StripeRefusedError,
    StripeUnavailableError,
)
from app.stripe_client import StripeApi
from tests.conftest import NOW
from tests.stripe_api.fake_stripe import KEY, FakeStripe


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0.01)
    monkeypatch.setattr(stripe_client, "TRY_SECONDS_MAX", 2.0)


async def test_an_object_comes_with_the_second_in_which_stripe_answered(stripe, stripe_api) -> None:
    stripe.subscription("sub_1", customer="cus_7")
    stripe.now = NOW + timedelta(seconds=3)
    got = await stripe_api.retrieve("/v1/subscriptions/sub_1")
    assert got.body["customer"] == "cus_7"
    assert got.asked_at == NOW + timedelta(seconds=3)
    assert stripe.calls[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("count", [0, 1, 100, 101, 350])
async def test_every_subscription_is_listed_once_newest_first(
    stripe: FakeStripe, stripe_api: StripeApi, count: int
) -> None:
    for n in range(count):
        stripe.subscription(f"sub_{n}", status="canceled" if n % 2 else "active")
    pages = [page async for page in stripe_api.subscriptions()]
    assert [s["id"] for page in pages for s in page.items] == [
        f"sub_{n}" for n in reversed(range(count))
    ]
    assert max(len(page.items) for page in pages) <= 100
    assert len(pages) == max(1, -(-count // 100))


@pytest.mark.parametrize("count", [0, 1, 100, 101, 350])
async def test_undelivered_events_come_oldest_first_over_any_number_of_types(
    stripe: FakeStripe, stripe_api: StripeApi, count: int
) -> None:
    types = [f"kind.number_{n}" for n in range(27)]
    for n in range(count):
        stripe.now = NOW + timedelta(seconds=n)
        stripe.event(f"evt_{n:03}", types[n % 27], {"id": "x"}, delivered=n % 5 == 0)
    stripe.event("evt_other", "kind.unread", {"id": "x"})
    since = NOW + timedelta(seconds=7)
    got = [e async for e in stripe_api.events(types, delivery_success=False, since=since)]
    assert [e["id"] for e in got] == [f"evt_{n:03}" for n in range(7, count) if n % 5]


async def test_events_that_are_delivered_meanwhile_hold_up_no_others(stripe, stripe_api) -> None:
    for n in range(250):
        stripe.now = NOW + timedelta(seconds=n)
        stripe.event(f"evt_{n:03}", "kind", {"id": "x"})
    got = []
    async for event in stripe_api.events(["kind"], delivery_success=False, since=NOW):
        got.append(event["id"])
        if len(got) == 60:
            stripe.events = [(e, e["id"] in ("evt_049", "evt_200")) for e, _ in stripe.events]
    assert got == [f"evt_{n:03}" for n in range(250) if n != 200]


@pytest.mark.parametrize(
    "fault",
    ["500", "429", "409", "no json", "a list", "no date", "hangs up", "huge"],
)
async def test_a_stripe_that_fails_is_a_retryable_error_without_the_key(
    stripe: FakeStripe, stripe_api: StripeApi, fault: str
) -> None:
    stripe.subscription()
    stripe.faults = [fault] * 3
    with pytest.raises(StripeUnavailableError) as refused:
        await stripe_api.retrieve("/v1/subscriptions/sub_1")
    assert refused.value.retryable
    assert KEY not in str(refused.value)
    stripe.faults = []
    assert (await stripe_api.retrieve("/v1/subscriptions/sub_1")).body["id"] == "sub_1"


@pytest.mark.parametrize("fault", ["500", "409", "hangs up"])
async def test_what_fails_twice_is_asked_a_third_time(stripe, stripe_api, fault) -> None:
    stripe.subscription()
    stripe.faults = [fault] * 2
    assert (await stripe_api.retrieve("/v1/subscriptions/sub_1")).body["id"] == "sub_1"
    assert stripe.count("/v1/subscriptions/sub_1") == 3


async def test_a_stripe_that_hangs_is_given_up(stripe, stripe_api, monkeypatch) -> None:
    monkeypatch.setattr(stripe_client, "TRY_SECONDS_MAX", 0.2)
    stripe.faults = ["hangs"] * 3
    async with asyncio.timeout(30):
        with pytest.raises(StripeUnavailableError, match=r"no answer within 0\.2 s"):
            await stripe_api.retrieve("/v1/subscriptions/sub_1")


async def test_where_nobody_listens_stripe_is_away() -> None:
    api = StripeApi(KEY, "http://127.0.0.1:1")
    with pytest.raises(StripeUnavailableError, match="does not answer"):
        await api.retrieve("/v1/subscriptions/sub_1")
    await api.close()


async def test_a_refusal_says_what_stripe_said(stripe, stripe_api) -> None:
    with pytest.raises(StripeRefusedError, match="No such subscription: 'sub_0'") as refused:
        await stripe_api.retrieve("/v1/subscriptions/sub_0")
    assert (refused.value.status, refused.value.retryable) == (404, False)


@pytest.mark.parametrize("fault", ["an odd error", "a page that is not found"])
async def test_a_refusal_that_says_nothing_is_no_proof_that_an_object_is_gone(
    stripe: FakeStripe, stripe_api: StripeApi, fault: str
) -> None:
    stripe.faults = [fault]
    with pytest.raises(StripeFailedError) as refused:
        await stripe_api.retrieve("/v1/subscriptions/sub_1")
    assert not getattr(refused.value, "missing", False)
    with pytest.raises(StripeRefusedError) as refused:
        await stripe_api.retrieve("/v1/subscriptions/sub_1")
    assert getattr(refused.value, "missing", False)


async def test_a_wrong_key_is_never_shown(stripe: FakeStripe) -> None:
    api = StripeApi("sk_test_wrong9key", stripe.base)
    with pytest.raises(StripeRefusedError, match="Invalid API Key") as refused:
        await api.retrieve("/v1/subscriptions/sub_1")
    assert refused.value.status == 401
    assert "wrong9key" not in str(refused.value)
    await api.close()


@pytest.mark.parametrize("path", ["/v1/subscriptions/../x?a", "/v1/subscriptions/a b", "http://x"])
async def test_no_id_leads_out_of_the_api(stripe, stripe_api, path) -> None:
    with pytest.raises(StripeRefusedError, match="no path"):
        await stripe_api.retrieve(path)
    assert stripe.calls == []


async def test_one_key_makes_one_session_and_other_content_is_refused(stripe, stripe_api) -> None:
    params = {"mode": "payment", "line_items": [{"price": "price_pack_100", "quantity": 1}]}
    first = await stripe_api.create_checkout_session(params, "key-1")
    again = await stripe_api.create_checkout_session(params, "key-1")
    assert first.body == again.body
    assert first.body["line_items"] == [{"price": "price_pack_100", "quantity": "1"}]
    with pytest.raises(KeyReusedError):
        await stripe_api.create_checkout_session({**params, "mode": "setup"}, "key-1")


async def test_a_list_that_never_ends_is_nonsense(stripe, stripe_api, monkeypatch) -> None:
    for n in range(100):
        stripe.subscription(f"sub_{n}")
    told = stripe.answer
    monkeypatch.setattr(
        stripe,
        "answer",
        lambda call: (200, told(call)[1] | {"has_more": True, "data": [{"id": "sub_1"}]}),
    )
    with pytest.raises(StripeUnavailableError, match="does not go on"):
        [page async for page in stripe_api.subscriptions()]
