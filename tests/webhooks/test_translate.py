"""What each event says of a subscription, in the shapes of ten years."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.subscriptions.facts import Fact, FactKind, Invoice
from app.webhooks.shapes import account_hint_of
from app.webhooks.translate import Ignored, Parked, Thin, object_url, translate

AT = 1_790_000_000
END = AT + 2_592_000


def utc(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def event_of(kind: str, thing: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "evt_t1",
        "object": "event",
        "type": kind,
        "created": AT,
        "livemode": False,
        "data": {"object": thing},
        **more,
    }


def item(price: Any, **more: Any) -> dict[str, Any]:
    return {"id": "si_1", "object": "subscription_item", "price": price, **more}


def price(name: str, interval: str = "month", count: int = 1) -> dict[str, Any]:
    recurring = {"interval": interval, "interval_count": count}
    return {"id": name, "object": "price", "recurring": recurring}


# 2025-03-31.basil and later: the periods are the items'.
BASIL: dict[str, Any] = {
    "id": "sub_t1",
    "object": "subscription",
    "customer": "cus_t1",
    "status": "active",
    "cancel_at_period_end": False,
    "metadata": {},
    "items": {
        "object": "list",
        "has_more": False,
        "data": [item(price("price_pro_monthly"), current_period_end=END)],
    },
}
# 2016 to 2020-03-02: plans, and the subscription's own period.
PLAN_AGE: dict[str, Any] = {
    "id": "sub_t1",
    "object": "subscription",
    "customer": "cus_t1",
    "status": "active",
    "cancel_at_period_end": False,
    "current_period_end": END,
    "metadata": {},
    "items": {
        "object": "list",
        "data": [{"id": "si_1", "plan": {"id": "price_pro_monthly", "interval": "month"}}],
    },
    "plan": {"id": "price_pro_monthly", "interval": "month", "interval_count": 1},
}
# 2026-09 invoices name their parent; older ones the subscription.
INVOICE: dict[str, Any] = {
    "id": "in_t1",
    "object": "invoice",
    "customer": "cus_t1",
    "billing_reason": "subscription_cycle",
    "parent": {
        "type": "subscription_details",
        "subscription_details": {"subscription": "sub_t1", "metadata": {}},
    },
}
OLD_INVOICE: dict[str, Any] = {
    "id": "in_t1",
    "object": "invoice",
    "customer": "cus_t1",
    "billing_reason": "subscription_cycle",
    "subscription": "sub_t1",
}

ACTIVE = Fact(
    event_id="evt_t1",
    subscription_id="sub_t1",
    customer_id="cus_t1",
    kind=FactKind.UPDATED,
    occurred_at=utc(AT),
    status="active",
    prices=("price_pro_monthly",),
    period_end=utc(END),
    billing_cycle="month",
)


def snapshot(subscription: Any, kind: str = "updated") -> Fact:
    fact = translate(event_of(f"customer.subscription.{kind}", subscription))
    assert isinstance(fact, Fact), fact
    return fact


def parked(subscription: Any) -> str:
    ruling = translate(event_of("customer.subscription.updated", subscription))
    assert isinstance(ruling, Parked), ruling
    return ruling.reason


@pytest.mark.parametrize("shape", [BASIL, PLAN_AGE])
def test_every_api_version_tells_the_same_fact(shape: dict[str, Any]) -> None:
    assert snapshot(shape) == ACTIVE


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("created", FactKind.CREATED),
        ("updated", FactKind.UPDATED),
        ("deleted", FactKind.DELETED),
        ("paused", FactKind.UPDATED),
        ("resumed", FactKind.UPDATED),
        ("trial_will_end", FactKind.UPDATED),
        ("pending_update_applied", FactKind.UPDATED),
        ("pending_update_expired", FactKind.UPDATED),
        ("named_in_some_later_year", FactKind.UPDATED),
    ],
)
def test_every_subscription_event_is_a_snapshot(name: str, kind: FactKind) -> None:
    assert snapshot(BASIL, name).kind is kind


@pytest.mark.parametrize(
    ("items", "plan", "prices"),
    [
        ([item(price("a")), item(price("b"))], None, ("a", "b")),
        ([item("a")], None, ("a",)),
        ([item(None, plan={"id": "a"})], None, ("a",)),
        ([item(None, plan="a")], None, ("a",)),
        ([item(price("a"), plan={"id": "b"})], {"id": "c"}, ("a",)),
        ([], {"id": "c"}, ("c",)),
        (None, "c", ("c",)),
        (None, None, ()),
    ],
)
def test_prices_come_from_the_items_else_from_plans(
    items: Any, plan: Any, prices: tuple[str, ...]
) -> None:
    listed = None if items is None else {"data": items}
    assert snapshot({**BASIL, "items": listed, "plan": plan}).prices == prices


def test_the_period_ends_with_the_item_that_is_billed_first() -> None:
    items = [item("a", current_period_end=END + 9), item("b", current_period_end=END), item("c")]
    told = {**BASIL, "items": {"data": items}, "current_period_end": END - 9}
    assert snapshot(told).period_end == utc(END)


def test_a_subscription_that_tells_no_period_has_none() -> None:
    assert snapshot({**BASIL, "items": {"data": [item("a")]}}).period_end is None


@pytest.mark.parametrize(
    ("of_price", "cycle"),
    [
        (price("a"), "month"),
        (price("a", "year"), "year"),
        (price("a", "month", 3), "3 month"),
        (price("a", "fortnight"), None),
        (price("a", "month", 0), None),
        ("a", None),
    ],
)
def test_the_billing_cycle_is_the_price_s_interval(of_price: Any, cycle: str | None) -> None:
    assert snapshot({**BASIL, "items": {"data": [item(of_price)]}}).billing_cycle == cycle


def test_an_expanded_customer_is_the_same_customer() -> None:
    assert snapshot({**BASIL, "customer": {"id": "cus_t1", "object": "customer"}}) == ACTIVE


def test_a_cancellation_at_the_period_s_end_leaves_it_active() -> None:
    fact = snapshot({**BASIL, "cancel_at_period_end": True})
    assert (fact.status, fact.cancel_at_period_end) == ("active", True)


@pytest.mark.parametrize(
    ("metadata", "hint"),
    [
        (None, None),
        ({}, None),
        ({"tallybook_account_id": "user-1", "user_id": "2"}, "user-1"),
        ({"user_id": "2"}, None),
        ({"tallybook_account_id": "a.b:c@d_e-f"}, "a.b:c@d_e-f"),
        ({"tallybook_account_id": "auth0|5f7c"}, "auth0|5f7c"),
        ({"tallybook_account_id": "jane+work@example.com"}, "jane+work@example.com"),
        ({"tallybook_account_id": "x" * 128}, "x" * 128),
        ({"tallybook_account_id": "x" * 129}, None),
        ({"tallybook_account_id": ""}, None),
        ({"tallybook_account_id": "two words"}, None),
        ({"tallybook_account_id": "new\n"}, None),
        ({"tallybook_account_id": "nul\0"}, None),
        ({"tallybook_account_id": 7}, None),
    ],
)
def test_metadata_hints_at_an_account_only_by_a_possible_id(
    metadata: Any, hint: str | None
) -> None:
    assert snapshot({**BASIL, "metadata": metadata}).account_hint == hint


def test_the_catalogue_says_which_metadata_names_an_account() -> None:
    event = {"metadata": {"tallybook_account_id": "", "user_id": "2", "org": "three"}}
    for keys, hint in ((("tallybook_account_id", "user_id"), "2"), (("org",), "three")):
        assert account_hint_of(event, keys).account_id == hint
    refused = account_hint_of({"metadata": {"org": "no id"}}, ("org",))
    assert (refused.account_id, refused.refused) == (
        None,
        "org 'no id' in the metadata is no account id",
    )


@pytest.mark.parametrize("status", ["suspended", "Active", "ended"])
def test_a_status_that_nobody_knows_is_told_and_leaves_what_was(status: str) -> None:
    fact = snapshot({**BASIL, "status": status})
    assert (fact.status, fact.unread) == (None, {"status": f"unknown status '{status}'"})
    assert fact.prices == ACTIVE.prices


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": None}, "data.object.id is None"),
        ({"id": "sub_\0"}, "data.object.id is 'sub_\\x00'"),
        ({"object": "invoice"}, "data.object.object is 'invoice', not subscription"),
    ],
)
def test_an_unknown_shape_is_parked_by_name(change: dict[str, Any], where: str) -> None:
    reason = parked({**BASIL, **change})
    assert reason.startswith("unknown shape: ")
    assert where in reason


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"status": None}, "status is None"),
        ({"items": []}, "items is a list"),
        ({"items": {}}, "items.data"),
        ({"items": {"data": ["si_1"]}}, "items.data[0] is 'si_1'"),
        ({"items": {"data": [item("a")] * 1_001}}, "items.data is no list of at most 1000"),
        ({"items": {"data": [item("a")], "has_more": True}}, "does not hold all items"),
        ({"items": {"data": [item("a"), item(None)]}}, "items.data[1].price is None"),
        ({"items": {"data": [item(7)]}}, "items.data[0].price is 7"),
        ({"items": {"data": [item({"object": "price"})]}}, "items.data[0].price is None"),
        ({"items": {"data": [item("a", current_period_end="x")]}}, "current_period_end is 'x'"),
        ({"items": None, "current_period_end": True}, "current_period_end is True"),
        ({"items": None, "current_period_end": 2**32}, "current_period_end is 4294967296"),
        ({"items": None, "plan": []}, "plan is a list"),
        ({"cancel_at_period_end": "no"}, "cancel_at_period_end is 'no'"),
        ({"metadata": []}, "metadata is a list"),
        ({"customer": None}, "customer is None"),
        ({"customer": {"name": "A"}}, "customer is None"),
        ({"customer": "c" * 256}, "customer is"),
    ],
)
def test_a_part_of_an_unknown_shape_is_told_and_the_rest_counts(
    change: dict[str, Any], where: str
) -> None:
    fact = snapshot({**BASIL, **change})
    assert any(where in one for one in fact.unread.values())
    assert fact.subscription_id == "sub_t1"
    assert fact.customer_id == ("" if "customer" in change else "cus_t1")
    assert fact.status == (None if "status" in change else "active")
    ended = snapshot({**BASIL, **change}, "deleted")
    assert (ended.kind, ended.occurred_at) == (FactKind.DELETED, fact.occurred_at)


def test_what_is_kept_at_quantity_0_is_not_bought_and_a_metered_item_is() -> None:
    items = [item("a", quantity=0), item("b", quantity=3), item("c", quantity=None), item("d")]
    assert snapshot({**BASIL, "items": {"data": items}}).prices == ("b", "c", "d")
    assert snapshot({**BASIL, "items": {"data": [item("a", quantity=0)]}}).prices == ()
    odd = snapshot({**BASIL, "items": {"data": [item("a", quantity=-1)]}})
    assert (odd.prices, odd.unread) == ((), {"prices": "items.data[0].quantity is -1, no quantity"})
    for quantity, prices in ((0, ()), (1, ("a",)), (None, ("a",))):  # 2016: of the plan itself
        shape = {**BASIL, "items": None, "plan": "a", "quantity": quantity}
        assert snapshot(shape).prices == prices


@pytest.mark.parametrize("invoice", [INVOICE, OLD_INVOICE, {**OLD_INVOICE, "parent": None}])
@pytest.mark.parametrize("reason", ["subscription_cycle", "subscription_update"])
@pytest.mark.parametrize(
    ("kind", "fact_kind"),
    [
        ("invoice.payment_failed", FactKind.PAYMENT_FAILED),
        ("invoice.paid", FactKind.PAYMENT_SUCCEEDED),
        ("invoice.payment_succeeded", FactKind.PAYMENT_SUCCEEDED),
    ],
)
def test_the_invoice_of_a_renewal_or_change_tells_of_its_payment(
    invoice: dict[str, Any], reason: str, kind: str, fact_kind: FactKind
) -> None:
    assert translate(event_of(kind, {**invoice, "billing_reason": reason})) == Fact(
        event_id="evt_t1",
        subscription_id="sub_t1",
        customer_id="cus_t1",
        kind=fact_kind,
        occurred_at=utc(AT),
        invoice=Invoice("in_t1", None, reason),
    )


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"created": 1_700_000_000}, Invoice("in_t1", utc(1_700_000_000), "subscription_cycle")),
        ({"date": 1_700_000_000}, Invoice("in_t1", utc(1_700_000_000), "subscription_cycle")),
        (
            {"created": 1_700_000_000, "date": 5},
            Invoice("in_t1", utc(1_700_000_000), "subscription_cycle"),
        ),
        ({"id": None, "created": 1_700_000_000}, None),
    ],
)
def test_an_invoice_tells_which_one_it_is_and_when_it_was_made(
    shape: dict[str, Any], told: Invoice | None
) -> None:
    fact = translate(event_of("invoice.paid", {**INVOICE, **shape}))
    assert isinstance(fact, Fact)
    assert fact.invoice == told


def test_an_invoice_may_hold_the_whole_subscription() -> None:
    fact = translate(event_of("invoice.paid", {**OLD_INVOICE, "subscription": BASIL}))
    assert isinstance(fact, Fact)
    assert fact.subscription_id == "sub_t1"


@pytest.mark.parametrize(
    "reason", ["subscription_create", "manual", "upcoming", "subscription_threshold", "new\0"]
)
def test_an_invoice_of_another_reason_is_ignored(reason: str) -> None:
    ruling = translate(event_of("invoice.payment_failed", {**INVOICE, "billing_reason": reason}))
    assert isinstance(ruling, Ignored)
    assert "billing reason" in ruling.reason
    assert "\0" not in ruling.reason


def test_a_failed_try_at_an_invoice_that_was_sent_is_ignored() -> None:
    """Its due date decides, and a snapshot tells of that."""
    for field in ("collection_method", "billing"):
        sent = INVOICE | {field: "send_invoice"}
        assert isinstance(translate(event_of("invoice.payment_failed", sent)), Ignored)
        assert isinstance(translate(event_of("invoice.paid", sent)), Fact)
        charged = INVOICE | {field: "charge_automatically"}
        assert isinstance(translate(event_of("invoice.payment_failed", charged)), Fact)


@pytest.mark.parametrize(
    "change",
    [{"subscription": None}, {"parent": None, "subscription": None}, {"billing_reason": None}],
)
def test_an_invoice_of_no_subscription_is_ignored(change: dict[str, Any]) -> None:
    invoice = {**OLD_INVOICE, "subscription": None, **change}
    assert translate(event_of("invoice.paid", invoice)) == Ignored("an invoice of no subscription")


@pytest.mark.parametrize(
    "invoice",
    [
        {},
        {"object": "invoice", "billing_reason": "subscription_cycle", "customer": "cus_t1"},
        {**INVOICE, "parent": "sub_t1"},
        {**INVOICE, "parent": {"subscription_details": ["sub_t1"]}},
        {**INVOICE, "id": 7},
        {**OLD_INVOICE, "subscription": 7},
        {**OLD_INVOICE, "object": "charge"},
    ],
)
def test_an_invoice_of_an_unknown_shape_is_parked(invoice: dict[str, Any]) -> None:
    assert isinstance(translate(event_of("invoice.payment_failed", invoice)), Parked)


@pytest.mark.parametrize(
    ("change", "unread"),
    [
        ({"customer": None}, {"customer_id": "customer is None, no printable text"}),
        (
            {"created": "yesterday"},
            {"invoice": "the invoice's created is 'yesterday', no time in Unix seconds"},
        ),
    ],
)
def test_a_part_of_an_invoice_that_nobody_can_read_is_told_and_the_rest_counts(
    change: dict[str, Any], unread: dict[str, str]
) -> None:
    fact = translate(event_of("invoice.payment_failed", {**INVOICE, **change}))
    assert isinstance(fact, Fact)
    assert (fact.subscription_id, fact.kind) == ("sub_t1", FactKind.PAYMENT_FAILED)
    assert (fact.invoice, fact.unread) == (Invoice("in_t1", None, "subscription_cycle"), unread)


def test_an_invoice_that_does_not_say_what_it_is_for_raises_no_alarm() -> None:
    for invoice in ({**INVOICE, "billing_reason": None}, {**OLD_INVOICE, "billing_reason": None}):
        assert isinstance(translate(event_of("invoice.paid", invoice)), Ignored)


@pytest.mark.parametrize(
    ("kind", "number", "url"),
    [
        ("customer.subscription.updated", "sub_1", "/v1/subscriptions/sub_1"),
        ("invoice.paid", "in_1", "/v1/invoices/in_1"),
        ("customer.updated", "cus_1", "/v1/customers/cus_1"),
        ("checkout.session.completed", "cs_1", "/v1/checkout/sessions/cs_1"),
        ("charge.dispute.closed", "du_1", "/v1/disputes/du_1"),
        ("refund.failed", "re_1", "/v1/refunds/re_1"),
        ("charge.refunded", "ch_1", "/v1/charges/ch_1"),
        ("payment_intent.succeeded", "pi_1", "/v1/payment_intents/pi_1"),
        ("product.created", "prod_1", None),
        ("invoice.paid", "in_1/../../v1/keys", None),
        ("invoice.paid", None, None),
    ],
)
def test_an_events_object_has_a_path_of_the_api(kind: str, number: Any, url: str | None) -> None:
    assert object_url(event_of(kind, {"id": number})) == url


@pytest.mark.parametrize(
    "kind",
    [
        "product.created",
        "charge.succeeded",
        "invoice.created",
        "invoice.upcoming",
        "x",
        "subscription_schedule.updated",
        "invoice.voided",
        "invoice.marked_uncollectible",
    ],
)
def test_every_other_type_is_ignored_whatever_it_holds(kind: str) -> None:
    assert translate(event_of(kind, BASIL)) == Ignored(f"{kind} moves no subscription")
    assert isinstance(translate({"type": kind}), Ignored)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "v1.product.updated", "object": "v2.core.event"},
        {"type": "customer.subscription.updated", "object": "v2.core.event"},
        {"type": "v2.core.account.updated"},
    ],
)
def test_a_thin_event_of_what_moves_nothing_is_ignored(event: dict[str, Any]) -> None:
    assert translate(event) == Ignored(f"{event['type']} moves no subscription")


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("/v1/subscriptions/sub_1", "/v1/subscriptions/sub_1"),
        ("/v2/core/accounts/acct_1", None),
        ("/v1/../v2/core", None),
        ("/v1/subscriptions/sub_1?expand[]=customer", None),
        ("https://elsewhere.example/v1/subscriptions/sub_1", None),
        ("//elsewhere.example/v1/x", None),
        (None, None),
        (7, None),
    ],
)
def test_a_thin_event_names_a_path_of_the_api_or_none(url: object, read: str | None) -> None:
    thin = translate(
        {
            "id": "evt_1",
            "type": "v1.customer.subscription.updated",
            "object": "v2.core.event",
            "created": "2026-01-01T12:00:00.000Z",
            "livemode": False,
            "related_object": {"id": "sub_1", "type": "subscription", "url": url},
        }
    )
    assert isinstance(thin, Thin)
    assert (thin.kind, thin.url) == ("customer.subscription.updated", read)


@pytest.mark.parametrize("change", [{"id": None}, {"created": True}, {"data": None}, {"type": 7}])
def test_an_event_without_its_own_facts_is_parked(change: dict[str, Any]) -> None:
    assert isinstance(translate(event_of("customer.subscription.updated", BASIL, **change)), Parked)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["id", "data", "object"]), inner, max_size=3)
    ),
    max_leaves=6,
)
events = st.sampled_from(
    [
        event_of("customer.subscription.updated", BASIL),
        event_of("customer.subscription.deleted", PLAN_AGE),
        event_of("invoice.paid", INVOICE),
        event_of("invoice.payment_failed", OLD_INVOICE),
    ]
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in the value with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value))
    own = [(value, key) for key in keys]
    deeper = [value[key] for key in keys if isinstance(value[key], dict | list)]
    return own + [place for one in deeper for place in places(one)]


@given(events, json_values, st.data())
def test_any_value_in_any_place_ends_in_one_of_the_three(
    event: dict[str, Any], value: object, data: st.DataObject
) -> None:
    event = copy.deepcopy(event)
    container, key = data.draw(st.sampled_from(places(event)))
    container[key] = value
    ruling = translate(event)
    assert isinstance(ruling, Fact | Ignored | Parked)
    if isinstance(ruling, Fact):
        ids = [ruling.event_id, ruling.subscription_id, *(ruling.prices or ())]
        if "customer_id" not in ruling.unread:
            ids.append(ruling.customer_id)
        assert all(1 <= len(text) <= 255 and text.isprintable() for text in ids)
    else:
        assert ruling.reason.isprintable()


@given(st.dictionaries(st.sampled_from(["id", "type", "data", "object", "created"]), json_values))
def test_any_object_at_all_ends_in_one_of_the_three(event: dict[str, object]) -> None:
    assert isinstance(translate(event), Ignored | Parked)


def test_the_event_is_left_as_it_came() -> None:
    event = event_of("customer.subscription.updated", BASIL)
    before = copy.deepcopy(event)
    translate(event)
    assert event == before
