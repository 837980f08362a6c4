"""The sample tape: made alike every time, and as Stripe would send it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulate import sample_tape
from app.simulate.sample_tape import account_id
from app.simulate.tape import TAPE_START, Delivery, SendEvents, Spend, Tape
from app.subscriptions.facts import Fact, FactKind
from app.webhooks.signature import sign
from app.webhooks.translate import CustomerFact, Ignored, translate

TAPE = sample_tape.tape(1, TAPE_START)
NAMES = ("ada", "ben", "chiyo", "dora", "emil", "fay")
starts = st.integers(0, 1_500).map(lambda day: TAPE_START + timedelta(days=day))


def deliveries_of(tape: Tape) -> list[Delivery]:
    steps = (step.action for step in tape.steps)
    return [one for action in steps if isinstance(action, SendEvents) for one in action.deliveries]


def test_the_same_tape_is_made_twice_alike() -> None:
    assert sample_tape.tape(1, TAPE_START) == TAPE


def test_another_run_has_nobody_and_nothing_in_common() -> None:
    other = sample_tape.tape(2, TAPE_START)
    for ids_of in (
        lambda tape: {one.event_id for one in deliveries_of(tape)},
        lambda tape: {customer.account_id for customer in tape.customers},
        lambda tape: {step.action.key for step in tape.steps if isinstance(step.action, Spend)},
    ):
        assert ids_of(TAPE)
        assert not ids_of(TAPE) & ids_of(other)


def test_an_event_id_stands_for_one_body() -> None:
    body_of: dict[str, bytes] = {}
    for one in deliveries_of(TAPE):
        assert orjson.loads(one.payload)["id"] == one.event_id
        assert body_of.setdefault(one.event_id, one.payload) == one.payload
    assert len(set(body_of.values())) == len(body_of)


def test_a_spends_key_is_used_once() -> None:
    keys = [step.action.key for step in TAPE.steps if isinstance(step.action, Spend)]
    assert len(set(keys)) == len(keys)


@given(starts)
@settings(max_examples=60)
def test_whenever_it_starts_no_two_steps_share_an_instant(starts_at: datetime) -> None:
    tape = sample_tape.tape(3, starts_at)
    instants = [step.at for step in tape.steps]
    assert all(one < other for one, other in pairwise(instants))
    assert (instants[0], instants[-1]) == (tape.starts_at, tape.ends_at)


@given(starts)
@settings(max_examples=60)
def test_whenever_it_starts_every_story_ends_the_same(starts_at: datetime) -> None:
    tape = sample_tape.tape(3, starts_at)
    ends = [
        (one.account_id, one.expected.tier, one.expected.state, one.expected.available)
        for one in tape.customers
    ]
    assert ends == [
        (account_id("ada", 3), "FREE", None, 3),
        (account_id("ben", 3), "PRO", "active", 16),
        (account_id("chiyo", 3), "ENTERPRISE", "active", 50),
        (account_id("dora", 3), "PRO", "active", 14),
        (account_id("emil", 3), "FREE", "canceled", 4),
        (account_id("fay", 3), "FREE", "canceled", 2),
    ]
    assert sum(one.refused for one in _spends(tape)) == 2


def _spends(tape: Tape) -> list[Spend]:
    return [step.action for step in tape.steps if isinstance(step.action, Spend)]


def test_no_event_is_of_the_future_and_one_is_late() -> None:
    late = []
    for step in TAPE.steps:
        if isinstance(step.action, SendEvents):
            events = [orjson.loads(one.payload) for one in step.action.deliveries]
            created = {datetime.fromtimestamp(event["created"], UTC) for event in events}
            assert max(created) <= step.at
            late += [step for at in created if step.at - at > timedelta(days=1)]
    assert [step.story for step in late] == ["emil was active: an old event arrives late"]


def test_stripe_s_sdk_accepts_every_event() -> None:
    for one in deliveries_of(TAPE):
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
    for one in deliveries_of(TAPE):
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
    assert [one.account_id for one in TAPE.customers] == [account_id(name, 1) for name in NAMES]
