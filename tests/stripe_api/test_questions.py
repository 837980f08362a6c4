"""What events do not tell is asked of Stripe, whose absence never fails a webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.infrastructure import clock
from app.jobs.tick import tick
from app.stripe_client import StripeApi
from app.webhooks.questions import ask
from app.webhooks.receive import ASK_SECONDS_MAX
from app.webhooks.translate import Thin, translate
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_api.fake_stripe import KEY
from tests.stripe_events import make_invoice_event, make_subscription_event
from tests.webhooks.test_failing_effects import break_event, mend

SECOND = timedelta(seconds=1)


def thin(event_id: str, kind: str, url: str | None, at=NOW) -> dict[str, Any]:
    return {
        "id": event_id,
        "object": "v2.core.event",
        "type": f"v1.{kind}",
        "livemode": False,
        "created": at.isoformat(),
        "reason": None,
        "related_object": {"id": "x", "type": "subscription", "url": url},
    }


async def event(api: Api, event_id: str) -> dict[str, Any]:
    answer = await api.get(f"/api/v1/events/{event_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def deliver_a_tie(api: Api) -> None:
    for event_id, status in (("evt_2", "past_due"), ("evt_1", "active")):
        told = make_subscription_event(
            event_id, "updated", NOW, status=status, previous={"quantity": 7}
        )
        assert await api.deliver(told) == "applied"


async def test_stripe_tells_which_of_two_states_came_last(stripe_service, stripe, database) -> None:
    stripe.now = NOW + 3 * SECOND
    stripe.subscription(status="active")
    await deliver_a_tie(stripe_service)
    assert (await stripe_service.account("cus_1"))["state"] == "active"
    asked = f"sub_1_{int(NOW.timestamp())}"
    answer = await event(stripe_service, f"tbask_{asked}")
    assert (answer["verdict"], answer["type"]) == ("applied", "customer.subscription.updated")
    assert answer["payload"]["created"] == int(stripe.now.timestamp())
    assert (await event(stripe_service, f"tbtie_{asked}"))["verdict"] == "applied"
    assert stripe.count("/v1/subscriptions/sub_1") == 1, "a tie is asked about once"
    assert await differences(database) == []


async def test_without_a_key_the_rule_for_ties_decides(api) -> None:
    await deliver_a_tie(api)
    assert (await api.account("cus_1"))["state"] == "past_due"
    assert (await event(api, "evt_1"))["reason"] == "tie"


async def test_an_answer_of_the_same_second_waits_for_the_next(stripe_service, stripe) -> None:
    stripe.subscription(status="active")
    await deliver_a_tie(stripe_service)
    assert (await stripe_service.account("cus_1"))["state"] == "past_due"
    stripe.now = NOW + 60 * SECOND
    await stripe_service.set_clock(NOW + 60 * SECOND)
    assert (await stripe_service.account("cus_1"))["state"] == "active"


@pytest.mark.parametrize("fault", ["500", "hangs up", "hangs"])
async def test_stripe_away_leaves_the_question_for_the_tick(stripe_service, stripe, fault) -> None:
    stripe.now = NOW + 3 * SECOND
    stripe.subscription(status="active")
    stripe.faults += [fault] * 9
    await deliver_a_tie(stripe_service)
    assert (await stripe_service.account("cus_1"))["state"] == "past_due"
    stripe.faults.clear()
    await stripe_service.set_clock(NOW + timedelta(minutes=5))
    assert (await stripe_service.account("cus_1"))["state"] == "active"
    assert ASK_SECONDS_MAX < 10, "Stripe waits for an answer, too"


async def test_a_thin_event_is_read_and_dated_by_stripes_clock(
    stripe_service, stripe, database
) -> None:
    stripe.now = NOW + 5 * SECOND
    stripe.subscription(price="price_enterprise_monthly")
    told = thin("evt_1", "customer.subscription.created", "/v1/subscriptions/sub_1")
    assert await stripe_service.deliver(told) == "applied"
    account = await stripe_service.account("cus_1")
    assert (account["tier"], account["available"]) == ("ENTERPRISE", 50)
    read = await event(stripe_service, "tbask_evt_1")
    assert read["created_at"] == "2026-01-01T12:00:05.000000Z"
    assert (await event(stripe_service, "evt_1"))["reason"] == "read from Stripe as tbask_evt_1"
    older = make_subscription_event("evt_0", "updated", NOW, status="past_due", previous={})
    assert await stripe_service.deliver(older) == "stale"
    assert await stripe_service.deliver(told) == "duplicate"
    assert await differences(database) == []


async def test_a_thin_event_waits_for_stripe_and_is_applied_by_the_tick(
    stripe_service, stripe
) -> None:
    stripe.subscription()
    stripe.faults += ["500"] * 9
    told = thin("evt_1", "customer.subscription.created", "/v1/subscriptions/sub_1")
    assert await stripe_service.deliver(told) == "queued"
    stripe.faults.clear()
    await stripe_service.set_clock(NOW + timedelta(minutes=5))
    assert (await event(stripe_service, "evt_1"))["verdict"] == "applied"
    assert (await stripe_service.account("cus_1"))["available"] == 20


async def test_a_stripe_that_hangs_holds_up_no_event_that_needs_no_answer_and_no_day(
    stripe_service, stripe, book, database, server, monkeypatch
) -> None:
    monkeypatch.setattr("app.webhooks.receive.ASK_SECONDS_MAX", 0.2)
    monkeypatch.setattr("app.webhooks.receive.TICK_ASK_SECONDS_MAX", 0.2)
    stripe.faults += ["hangs"] * 99
    for number in range(6):
        told = thin(f"evt_{number}", "customer.subscription.created", "/v1/subscriptions/sub_1")
        assert await stripe_service.deliver(told) == "queued"
    await break_event(server, "evt_own")
    own = make_subscription_event("evt_own", "created", NOW)
    assert await stripe_service.deliver(own) == "queued"
    await mend(server)
    asked = len(stripe.calls)
    await clock.stand(database, NOW + timedelta(days=1))
    await tick(book)
    assert len(stripe.calls) - asked < 6, "the rest is left to the next tick"
    assert (await event(stripe_service, "evt_own"))["verdict"] == "applied"
    assert await differences(database) == []


async def test_a_thin_event_of_what_is_gone_is_parked_after_the_last_try(
    stripe_service, stripe
) -> None:
    told = thin("evt_1", "customer.subscription.deleted", "/v1/subscriptions/sub_9")
    assert await stripe_service.deliver(told) == "queued"
    await stripe_service.set_clock(NOW + timedelta(days=3))
    assert (await event(stripe_service, "evt_1"))["verdict"] == "parked"


async def test_a_thin_event_that_names_no_path_of_the_api_is_parked(stripe_service, stripe) -> None:
    for number, url in enumerate(("/v2/core/x", "https://elsewhere.example/v1/x", None)):
        told = thin(f"evt_{number}", "customer.subscription.updated", url)
        assert await stripe_service.deliver(told) == "parked"
    assert stripe.calls == []


OF_OTHERS = {
    "customer.subscription.updated": ("/v1/accounts/acct_1", "/v1/charges/ch_1/refunds"),
    "customer.updated": ("/v1/subscriptions/sub_1", "/v1/customers/cus_1/sources/card_1"),
    "invoice.paid": ("/v1/invoiceitems/ii_1", "/v1/invoices/../accounts"),
    "charge.refunded": ("/v1/refunds/re_1", "/v1/charges/ch_1?expand=customer"),
    "charge.dispute.created": ("/v1/charges/ch_1", "/v1/disputes/"),
    "checkout.session.completed": ("/v1/checkout/sessions/cs_1/line_items", "/v1/checkout/cs_1"),
    "payment_intent.succeeded": ("/v1/charges/ch_1", "/v1/payment_intents/pi_1/confirm"),
}


async def test_a_thin_event_asks_for_nothing_but_an_object_of_its_type(
    stripe_service, stripe
) -> None:
    for kind, urls in OF_OTHERS.items():
        for number, url in enumerate(urls):
            told = thin(f"evt_{kind}_{number}".replace(".", "_"), kind, url)
            assert await stripe_service.deliver(told) == "parked", url
    assert stripe.calls == []


@pytest.mark.parametrize("context", ["acct_1/../x", "acct 1", 7, "a" * 256, "acct_1\r\nX: y"])
async def test_a_context_that_is_no_account_is_parked(stripe_service, stripe, context) -> None:
    told = thin("evt_1", "customer.subscription.updated", "/v1/subscriptions/sub_1")
    assert await stripe_service.deliver({**told, "context": context}) == "parked"
    assert stripe.calls == []


async def test_a_thin_event_is_ignored_without_a_key(api) -> None:
    told = thin("evt_1", "customer.subscription.created", "/v1/subscriptions/sub_1")
    assert await api.deliver(told) == "ignored"
    assert (await event(api, "evt_1"))["reason"] == "thin event, no API key"


async def test_what_moves_nothing_is_not_even_read(stripe_service, stripe) -> None:
    assert await stripe_service.deliver(thin("evt_1", "product.updated", "/v1/p/x")) == "ignored"
    assert stripe.calls == []
    paid = make_invoice_event("evt_2", "paid", NOW)
    assert await stripe_service.deliver(paid) == "applied"
    assert stripe.calls == []


async def test_stripe_is_asked_in_the_context_that_the_event_names(stripe) -> None:
    """An organization's key asks for each of its accounts; without it Stripe answers 404."""
    api = StripeApi(KEY, stripe.base)
    stripe.subscription(status="active")
    told = translate(
        {
            **thin("evt_1", "customer.subscription.updated", "/v1/subscriptions/sub_1"),
            "context": "acct_1/acct_2",
        }
    )
    assert isinstance(told, Thin)
    await ask(api, told)
    assert stripe.calls[-1].headers["stripe-context"] == "acct_1/acct_2"
    await api.retrieve("/v1/subscriptions/sub_1")
    assert "stripe-context" not in stripe.calls[-1].headers
    await api.close()
