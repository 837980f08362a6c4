"""The demo's stories: made alike every time, and as Stripe would send their events."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulate.demo import START, Run, people
from app.simulate.disorder import Outgoing, in_time
from app.simulate.expectation import Expected
from app.simulate.roles import account_id
from app.simulate.steps import Delivery, Spend
from app.subscriptions.facts import Fact, FactKind
from app.webhooks.signature import sign
from app.webhooks.translate import CustomerFact, Ignored, translate

NAMES = ("ada", "ben", "chiyo", "dora", "emil", "fay")
starts = st.integers(0, 1_500).map(lambda day: START + timedelta(days=day))


def acts_of(number: int, starts_at: datetime = START) -> list[Outgoing]:
    return list(in_time(people(Run(number, starts_at, resumed=False)), lambda _: None))


ACTS = acts_of(1)
DELIVERIES = [one.act for one in ACTS if isinstance(one.act, Delivery)]


def spends_of(acts: list[Outgoing]) -> list[Spend]:
    return [one.act for one in acts if isinstance(one.act, Spend)]


def test_the_same_run_is_made_twice_alike() -> None:
    assert [(one.at, one.act) for one in acts_of(1)] == [(one.at, one.act) for one in ACTS]


def test_another_run_has_nobody_and_nothing_in_common() -> None:
    other = acts_of(2)
    for ids_of in (
        lambda acts: {one.act.event_id for one in acts if isinstance(one.act, Delivery)},
        lambda acts: {spend.account_id for spend in spends_of(acts)},
        lambda acts: {spend.key for spend in spends_of(acts)},
    ):
        assert ids_of(ACTS)
        assert not ids_of(ACTS) & ids_of(other)


def test_an_event_id_stands_for_one_body() -> None:
    body_of: dict[str, bytes] = {}
    for one in DELIVERIES:
        assert orjson.loads(one.payload)["id"] == one.event_id
        assert body_of.setdefault(one.event_id, one.payload) == one.payload
    assert len(set(body_of.values())) == len(body_of)


def test_a_spends_key_is_used_once() -> None:
    keys = [spend.key for spend in spends_of(ACTS)]
    assert len(set(keys)) == len(keys)


@given(starts)
@settings(max_examples=60)
def test_whenever_it_starts_no_two_steps_share_an_instant(starts_at: datetime) -> None:
    run = Run(3, starts_at, resumed=False)
    instants = sorted(step.at for role in people(run) for step in role.steps)
    assert all(one < other for one, other in pairwise(instants))
    assert instants[0] == starts_at
    assert instants[-1] < run.ends_at


@given(starts)
@settings(max_examples=60)
def test_whenever_it_starts_every_story_ends_the_same(starts_at: datetime) -> None:
    run = Run(3, starts_at, resumed=False)
    played = people(run)
    spends = spends_of(list(in_time(played, lambda _: None)))
    ends: list[tuple[str, str, str | None, int]] = []
    for role in played:
        (expected,) = role.customer.accounts.values()
        assert expected is not None
        end: Expected = expected.end(run.ends_at)
        ends.append((role.customer.account_id, end.tier, end.state, end.available))
    assert ends == [
        (account_id("ada", 3), "FREE", None, 3),
        (account_id("ben", 3), "PRO", "active", 16),
        (account_id("chiyo", 3), "ENTERPRISE", "active", 50),
        (account_id("dora", 3), "PRO", "active", 14),
        (account_id("emil", 3), "FREE", "canceled", 4),
        (account_id("fay", 3), "FREE", "canceled", 2),
    ]
    assert sum(spend.refused for spend in spends) == 2


def test_no_event_is_of_the_future_and_one_is_late() -> None:
    late = []
    for one in ACTS:
        if isinstance(one.act, Delivery):
            created = datetime.fromtimestamp(orjson.loads(one.act.payload)["created"], UTC)
            assert created <= one.at
            late += [one.story] if one.at - created > timedelta(days=1) else []
    assert late == ["emil was active: an old event arrives late"]


def test_stripe_s_sdk_accepts_every_event() -> None:
    for one in DELIVERIES:
        header = sign(one.payload, "whsec_t", int(time.time()))
        assert stripe.WebhookSignature.verify_header(one.payload.decode(), header, "whsec_t", 300)
        event = stripe.Webhook.construct_event(one.payload, header, "whsec_t")
        assert (event.id, event.type, event.livemode) == (one.event_id, one.type, False)


def test_every_event_is_understood() -> None:
    kind_of = {
        "customer.subscription.created": FactKind.CREATED,
        "customer.subscription.updated": FactKind.UPDATED,
        "customer.subscription.deleted": FactKind.DELETED,
        "invoice.payment_failed": FactKind.PAYMENT_FAILED,
        "invoice.paid": FactKind.PAYMENT_SUCCEEDED,
        "invoice.payment_succeeded": FactKind.PAYMENT_SUCCEEDED,
    }
    seen = set()
    for one in DELIVERIES:
        event = orjson.loads(one.payload)
        ruling = translate(event)
        if event["data"]["object"].get("billing_reason") == "subscription_create":
            assert isinstance(ruling, Ignored)
        elif one.type in kind_of:
            assert isinstance(ruling, Fact)
            assert ruling.kind is kind_of[one.type]
            seen.add(one.type)
        elif one.type == "customer.created":
            assert isinstance(ruling, CustomerFact)
        else:
            assert isinstance(ruling, Ignored)
    assert seen == set(kind_of)


def test_every_name_has_one_customer() -> None:
    assert [role.customer.account_id for role in people(Run(1, START, resumed=False))] == [
        account_id(name, 1) for name in NAMES
    ]
