"""Money events of every API version are read by their own content; what is unknown is parked."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.purchases.facts import (
    MONEY_MAX,
    CaptureFact,
    ChargeFact,
    DisputeFact,
    MoneyEvent,
    RefundFact,
    RefundStatus,
    SessionFact,
)
from app.webhooks.translate import Ignored, Parked, translate
from tests.conftest import NOW
from tests.money_events import (
    make_charge_event,
    make_dispute_event,
    make_refund,
    make_refund_event,
    make_session_event,
)
from tests.stripe_events import make_event

EVENTS = {
    "session": make_session_event("evt_1", NOW),
    "refund": make_refund_event("evt_1", NOW, 300),
    "charge": make_charge_event("evt_1", NOW, 300, refunds=[make_refund("re_1", NOW, 300)]),
    "dispute": make_dispute_event("evt_1", NOW, "needs_response"),
}


def facts(event: dict[str, Any]) -> tuple[Any, ...]:
    read = translate(event)
    assert isinstance(read, MoneyEvent), read
    return read.facts


def changed(kind: str, **values: Any) -> dict[str, Any]:
    """The event with these fields of its object set, or taken out where they are `...`."""
    event = deepcopy(EVENTS[kind])
    for name, value in values.items():
        if value is ...:
            event["data"]["object"].pop(name, None)
        else:
            event["data"]["object"][name] = value
    return event


def test_a_session_tells_its_pack_payment_and_customer() -> None:
    (fact,) = facts(EVENTS["session"])
    assert isinstance(fact, SessionFact)
    assert (fact.session_id, fact.payment_intent, fact.customer_id) == ("cs_1", "pi_1", "cus_1")
    assert (fact.mode, fact.paid, fact.amount, fact.currency) == ("payment", True, 1_000, "eur")
    assert (fact.pack, fact.prices) == ("P100", None)


def test_links_are_read_expanded_too() -> None:
    event = changed("session", payment_intent={"id": "pi_9"}, customer={"id": "cus_9"})
    (fact,) = facts(event)
    assert (fact.payment_intent, fact.customer_id) == ("pi_9", "cus_9")
    expanded = {"id": "ch_9", "payment_intent": "pi_9"}
    (dispute,) = facts(changed("dispute", payment_intent=..., charge=expanded))
    assert (dispute.payment_intent, dispute.charge_id) == ("pi_9", "ch_9")


@pytest.mark.parametrize(("told", "amount"), [({"amount_received": 400}, 400), ({}, 1_000)])
def test_a_payment_that_does_not_tell_what_was_received_was_received_whole(
    told: dict[str, Any], amount: int
) -> None:
    intent = {"id": "pi_1", "object": "payment_intent", "amount": 1_000, **told}
    (fact,) = facts(make_event("evt_1", "payment_intent.succeeded", NOW, intent))
    assert isinstance(fact, CaptureFact)
    assert (fact.payment_intent, fact.amount) == ("pi_1", amount)


@pytest.mark.parametrize(
    ("links", "mode"),
    [({"subscription": "sub_1", "payment_intent": None}, "subscription"), ({}, "payment")],
)
def test_before_2019_11_a_sessions_links_tell_its_mode(links: dict[str, Any], mode: str) -> None:
    (fact,) = facts(changed("session", mode=..., **links))
    assert fact.mode == mode


def test_a_charge_carries_its_refunds_until_2022_11_15_and_not_since() -> None:
    old = facts(EVENTS["charge"])
    assert [type(fact) for fact in old] == [ChargeFact, RefundFact]
    assert old[1].payment_intent == "pi_1"
    without = deepcopy(EVENTS["charge"])
    del without["data"]["object"]["refunds"]
    assert [type(fact) for fact in facts(without)] == [ChargeFact]


def test_a_refund_in_its_charge_need_not_name_it() -> None:
    bare = make_refund("re_1", NOW, 300)
    for name in ("payment_intent", "charge", "status"):
        del bare[name]
    _, refund = facts(make_charge_event("evt_1", NOW, 300, refunds=[bare]))
    assert (refund.payment_intent, refund.charge_id) == ("pi_1", "ch_1")
    assert refund.status is RefundStatus.SUCCEEDED


@pytest.mark.parametrize(
    "kind", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]
)
def test_every_event_of_a_refund_is_read_alike(kind: str) -> None:
    (fact,) = facts({**EVENTS["refund"], "type": kind})
    assert (fact.refund_id, fact.amount, fact.payment_intent) == ("re_1", 300, "pi_1")


@pytest.mark.parametrize(
    "kind", ["created", "updated", "closed", "funds_withdrawn", "funds_reinstated"]
)
def test_every_event_of_a_dispute_is_read_alike(kind: str) -> None:
    (fact,) = facts({**EVENTS["dispute"], "type": f"charge.dispute.{kind}"})
    assert isinstance(fact, DisputeFact)
    assert (fact.dispute_id, fact.amount, fact.status) == ("du_1", 1_000, "needs_response")


@pytest.mark.parametrize("kind", ["refund", "charge", "dispute"])
def test_money_of_no_payment_intent_is_no_packs(kind: str) -> None:
    without = changed(kind, payment_intent=None, charge=None, refunds=...)
    assert isinstance(translate(without), Ignored)


@pytest.mark.parametrize(
    ("line_items", "prices", "unread"),
    [
        ({"data": [{"price": "p", "quantity": 3}]}, (("p", 3),), None),
        ({"data": [{"price": "p", "quantity": None}, {"price": "q"}]}, (("p", 1), ("q", 1)), None),
        ({"data": [{"price": "p", "quantity": 0}, {"price": "q"}]}, (("q", 1),), None),
        ({"data": [], "has_more": True}, None, "line_items is no whole list of at most 1000"),
        ({"data": [{"price": "p", "quantity": -1}]}, None, "a line item's quantity is -1"),
    ],
)
def test_lines_that_nobody_can_read_leave_the_rest_of_the_session(
    line_items: dict[str, Any], prices: object, unread: str | None
) -> None:
    (fact,) = facts(changed("session", line_items=line_items))
    assert isinstance(fact, SessionFact)
    assert (fact.prices, fact.unread) == (prices, unread)
    assert (fact.pack, fact.paid, fact.customer_id) == ("P100", True, "cus_1")


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_a_charge_decides_where_stripe_names_no_payment_intent(kind: str) -> None:
    (fact,) = facts(changed(kind, payment_intent=None))
    assert (fact.charge_id, fact.payment_intent, fact.names_no_intent) == ("ch_1", None, True)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("session", {"payment_status": "maybe"}),
        ("session", {"payment_status": ...}),
        ("session", {"mode": "gift"}),
        ("session", {"amount_total": ...}),
        ("session", {"amount_total": -1}),
        ("session", {"amount_total": MONEY_MAX + 1}),
        ("session", {"amount_total": True}),
        ("session", {"amount_total": "1000"}),
        ("session", {"amount_total": 10.5}),
        ("session", {"payment_intent": None}),
        ("session", {"metadata": ["P100"]}),
        ("session", {"metadata": {"tallybook_pack": 100}}),
        ("session", {"object": "charge"}),
        ("session", {"id": "cs_\u0000"}),
        ("refund", {"status": "lost"}),
        ("refund", {"amount": -1}),
        ("refund", {"amount": ...}),
        ("refund", {"created": ...}),
        ("refund", {"charge": ..., "payment_intent": ...}),
        ("charge", {"amount_refunded": ...}),
        ("charge", {"amount_refunded": MONEY_MAX + 1}),
        ("charge", {"refunds": {"data": "none"}}),
        ("charge", {"refunds": {"data": [7]}}),
        ("dispute", {"status": "open"}),
        ("dispute", {"status": ["won"]}),
        ("dispute", {"charge": ..., "payment_intent": ...}),
        ("dispute", {"amount": None}),
    ],
)
def test_an_unknown_shape_is_parked(kind: str, values: dict[str, Any]) -> None:
    read = translate(changed(kind, **values))
    assert isinstance(read, Parked), read
    assert read.reason.startswith("unknown shape")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=300)
@given(data=st.data())
def test_no_value_in_any_field_makes_the_reading_raise(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(EVENTS)))
    event = deepcopy(EVENTS[kind])
    thing = event["data"]["object"]
    for name in data.draw(st.lists(st.sampled_from(sorted(thing)), min_size=1, max_size=3)):
        thing[name] = data.draw(JSON)
    assert isinstance(translate(event), MoneyEvent | Ignored | Parked)
