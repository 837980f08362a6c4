"""Deliveries as Stripe makes them: again, at once, late, in any order, to the wrong book."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from app.infrastructure.db import Database
from app.webhooks.signature import TOLERANCE_S, sign
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_event, make_invoice_event, make_subscription_event

ENTERPRISE = "price_enterprise_monthly"
Event = dict[str, Any]


def seconds(count: int) -> datetime:
    return NOW + timedelta(seconds=count)


async def count(database: Database, table: str) -> int:
    return int(await database.fetchval(f"SELECT count(*) FROM {table}"))


async def counts(database: Database) -> dict[str, int]:
    """How many rows stand in every table that an event could write."""
    tables = (
        "accounts",
        "customers",
        "subscriptions",
        "facts",
        "transitions",
        "journals",
        "entries",
        "lots",
        "daily_grants",
    )
    return {table: await count(database, table) for table in tables}


async def stored(database: Database, event_id: str) -> dict[str, Any]:
    row = await database.fetchrow("SELECT * FROM events WHERE id = $1", event_id)
    assert row is not None
    return dict(row)


# Copies


async def test_a_second_delivery_changes_nothing(api, database, subscription_event) -> None:
    event = subscription_event("evt_1", "created", NOW)
    assert await api.deliver(event) == "applied"
    before = await counts(database)
    assert await api.deliver(event) == "duplicate"
    assert await counts(database) == before
    row = await stored(database, "evt_1")
    assert (row["verdict"], row["delivery_count"], row["attempt_count"]) == ("applied", 2, 1)


async def test_fifty_deliveries_at_once_post_once(api, database, subscription_event) -> None:
    await api.deliver(
        subscription_event("evt_0", "created", NOW, customer="cus_0", subscription="s")
    )
    before = await counts(database)
    event = subscription_event("evt_1", "created", NOW)
    outcomes = Counter(await asyncio.gather(*(api.deliver(event) for _ in range(50))))
    assert outcomes == {"applied": 1, "duplicate": 49}
    # What the other customer's one delivery made, once more.
    assert await counts(database) == {table: 2 * rows for table, rows in before.items()}
    assert (await api.account("cus_1"))["available"] == 20
    assert (await stored(database, "evt_1"))["delivery_count"] == 50
    assert await differences(database) == []


async def test_one_customers_first_events_at_once_open_one_account(api, database) -> None:
    events = [
        make_subscription_event(
            f"evt_{n}", "created", NOW, subscription=f"sub_{n}", price="price_pro_yearly"
        )
        for n in range(20)
    ]
    assert Counter(await asyncio.gather(*map(api.deliver, events))) == {"applied": 20}
    assert await count(database, "accounts") == await count(database, "daily_grants") == 1
    account = await api.account("cus_1")
    assert (account["available"], len(account["subscriptions"])) == (20, 20)
    assert await differences(database) == []


async def test_two_event_objects_of_one_change_grant_once(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", seconds(0)))
    previous = {"items": {"data": [{"price": {"id": "price_pro_monthly"}}]}}
    for event_id in ("evt_3", "evt_2"):
        event = make_subscription_event(
            event_id, "updated", seconds(1), price=ENTERPRISE, previous=previous
        )
        await api.deliver(event)
    assert (await api.account("cus_1"))["available"] == 50
    top_ups = (
        "SELECT count(*) FROM journals WHERE kind = 'top_up' AND event_id IN ('evt_2', 'evt_3')"
    )
    assert await database.fetchval(top_ups) == 1


# Order


def recovered(name: str) -> list[Event]:
    """Begins, upgrades within the second, fails to renew, pays: ENTERPRISE in the end."""
    sub = {"subscription": f"sub_{name}", "customer": f"cus_{name}"}
    pro = {"data": [{"price": {"id": "price_pro_monthly"}}]}
    return [
        make_subscription_event(f"{name}_z", "created", seconds(0), status="incomplete", **sub),
        make_subscription_event(
            f"{name}_y", "updated", seconds(9), previous={"status": "incomplete"}, **sub
        ),
        make_subscription_event(
            f"{name}_x", "updated", seconds(9), price=ENTERPRISE, previous={"items": pro}, **sub
        ),
        make_invoice_event(f"{name}_w", "payment_failed", seconds(20), **sub),
        make_invoice_event(f"{name}_v", "paid", seconds(30), **sub),
    ]


def ended(name: str) -> list[Event]:
    """Begins, upgrades and falls due within a second, and is canceled."""
    sub = {"subscription": f"sub_{name}", "customer": f"cus_{name}"}
    return [
        make_subscription_event(f"{name}_z", "created", seconds(0), status="incomplete", **sub),
        make_subscription_event(
            f"{name}_y", "updated", seconds(9), previous={"status": "incomplete"}, **sub
        ),
        make_subscription_event(
            f"{name}_x",
            "updated",
            seconds(9),
            status="past_due",
            previous={"status": "active"},
            **sub,
        ),
        make_invoice_event(f"{name}_w", "paid", seconds(20), **sub),
        make_subscription_event(f"{name}_v", "deleted", seconds(30), status="canceled", **sub),
    ]


@pytest.mark.parametrize(
    ("life_cycle", "end"),
    [(recovered, ("active", "ENTERPRISE", 50)), (ended, ("canceled", "FREE", 5))],
)
async def test_every_order_of_a_life_cycle_ends_the_same(api, database, life_cycle, end) -> None:
    orders = list(permutations(range(5)))
    names = [f"o{''.join(map(str, order))}" for order in orders]

    async def deliver_in(order: tuple[int, ...], name: str) -> None:
        events = life_cycle(name)
        for number in order:
            assert await api.deliver(events[number]) in ("applied", "stale")

    for at in range(0, len(orders), 12):
        batch = zip(orders[at : at + 12], names[at : at + 12], strict=True)
        await asyncio.gather(*(deliver_in(order, name) for order, name in batch))
    ends = await database.fetch(
        """SELECT subscriptions.state, accounts.tier, accounts.free, last_event_at,
                  grace_ends_at FROM subscriptions JOIN accounts ON accounts.id = account_id"""
    )
    assert Counter(map(tuple, ends)) == {(*end, seconds(30), None): 120}
    assert await differences(database) == []


async def test_a_late_event_does_not_revive_a_canceled_subscription(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", seconds(0)))
    await api.deliver(make_subscription_event("evt_3", "deleted", seconds(20), status="canceled"))
    before = await counts(database)
    late = make_subscription_event(
        "evt_2", "updated", seconds(10), price=ENTERPRISE, previous={"status": "past_due"}
    )
    assert await api.deliver(late) == "stale"
    account = await api.account("cus_1")
    assert (account["tier"], account["state"], account["available"]) == ("FREE", "canceled", 5)
    assert await counts(database) == {**before, "facts": before["facts"] + 1}


async def test_an_event_made_after_the_cancellation_revives_nothing(api) -> None:
    await api.deliver(make_subscription_event("evt_1", "deleted", seconds(0), status="canceled"))
    await api.deliver(make_subscription_event("evt_2", "updated", seconds(10), previous={}))
    await api.deliver(make_invoice_event("evt_3", "paid", seconds(20)))
    account = await api.account("cus_1")
    assert (account["tier"], account["state"]) == ("FREE", "canceled")


async def test_updates_that_nothing_orders_are_ruled_a_tie(api, database) -> None:
    for event_id, status in (("evt_2", "past_due"), ("evt_1", "active")):
        event = make_subscription_event(
            event_id, "updated", NOW, status=status, previous={"quantity": 7}
        )
        assert await api.deliver(event) == "applied"
    assert (await api.account("cus_1"))["state"] == "past_due"
    assert (await stored(database, "evt_1"))["verdict_reason"] == "tie"


# Prices, modes, kinds, owners


async def test_an_unknown_price_is_parked_until_the_catalogue_knows_it(api, database, book) -> None:
    event = make_subscription_event("evt_1", "created", NOW, price="price_new")
    assert await api.deliver(event) == "parked"
    assert "price_new" in (await stored(database, "evt_1"))["verdict_reason"]
    # It gives nothing, ties nothing and is shown nowhere: it may be another product's.
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404
    text = default_text().replace('"price_pro_monthly"', '"price_pro_monthly", "price_new"')
    await apply_tiers(book, text)
    account = await api.account("cus_1")
    assert (account["tier"], account["free"], account["available"]) == ("PRO", 20, 20)
    assert account["subscriptions"][0]["id"] == "sub_1"
    assert await differences(database) == []


async def test_a_change_to_an_unknown_price_keeps_the_tier_and_parks(api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", seconds(0), price=ENTERPRISE))
    unknown = make_subscription_event(
        "evt_2", "updated", seconds(1), price="price_new", previous={}
    )
    assert await api.deliver(unknown) == "parked"
    assert (await api.account("cus_1"))["available"] == 50


async def test_an_ignored_price_grants_nothing_and_is_no_alarm(api, book) -> None:
    text = f'ignored_prices = ["price_hours"]\n{default_text()}'
    await apply_tiers(book, text)
    event = make_subscription_event("evt_1", "created", NOW, price="price_hours")
    assert await api.deliver(event) == "applied"
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404, "it opens no account"


async def test_what_other_products_sell_is_silent_if_the_catalogue_says_so(api, book) -> None:
    await apply_tiers(book, f"{default_text()}\n[stripe]\npark_unknown = false\n")
    event = make_subscription_event("evt_1", "created", NOW, price="price_of_others")
    assert await api.deliver(event) == "ignored"
    gone = make_subscription_event(
        "evt_2", "deleted", seconds(5), price="price_of_others", status="canceled"
    )
    assert await api.deliver(gone) == "applied"
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404
    # Of one that gave a tier the alarm stays.
    ours = {"subscription": "sub_ours", "customer": "cus_ours"}
    await api.deliver(make_subscription_event("evt_3", "created", seconds(6), **ours))
    unknown = make_subscription_event(
        "evt_4", "updated", seconds(7), price="price_new", previous={}, **ours
    )
    assert await api.deliver(unknown) == "parked"


async def test_what_ends_is_not_parked_for_its_price(api) -> None:
    event = make_subscription_event("evt_1", "created", NOW, price="price_of_others")
    assert await api.deliver(event) == "parked"
    gone = make_subscription_event(
        "evt_2", "deleted", seconds(5), price="price_of_others", status="canceled"
    )
    assert await api.deliver(gone) == "applied"


async def test_an_event_of_the_other_mode_is_refused_and_changes_nothing(api, database) -> None:
    before = await counts(database)
    event = {**make_subscription_event("evt_1", "created", NOW), "livemode": True}
    assert await api.deliver(event) == "refused"
    assert await counts(database) == before
    assert (await stored(database, "evt_1"))["verdict"] == "refused"


@pytest.mark.parametrize("kind", ["charge.succeeded", "a.kind.to.come"])
async def test_the_other_mode_is_refused_also_where_nothing_would_follow(
    api, database, kind
) -> None:
    event = make_event("evt_1", kind, NOW, {"id": "x", "customer": "c"})
    assert await api.deliver({**event, "livemode": True}) == "refused"
    assert (await stored(database, "evt_1"))["verdict"] == "refused"


async def test_the_other_mode_is_refused_also_where_it_would_change_nothing(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    event = make_subscription_event("evt_2", "updated", seconds(9))
    assert await api.deliver({**event, "livemode": True}) == "refused"
    assert (await stored(database, "evt_2"))["verdict"] == "refused"
    assert await count(database, "facts") == 1


@pytest.mark.parametrize(
    "kind", ["charge.succeeded", "product.created", "invoice.created", "a.kind.to.come"]
)
async def test_other_kinds_are_kept_and_ignored(api, database, kind) -> None:
    before = await counts(database)
    assert (
        await api.deliver(make_event("evt_1", kind, NOW, {"id": "x", "customer": "c"})) == "ignored"
    )
    assert await counts(database) == before
    assert await count(database, "events") == 1


async def test_a_first_invoices_failure_moves_nothing(api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", seconds(0), status="incomplete"))
    first = make_invoice_event(
        "evt_2", "payment_failed", seconds(1), billing_reason="subscription_create"
    )
    assert await api.deliver(first) == "ignored"
    assert (await api.account("cus_1"))["state"] == "created"


async def test_a_subscription_stays_with_its_customer(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", seconds(0)))
    before = await counts(database)
    theft = make_subscription_event("evt_2", "updated", seconds(1), customer="cus_2", previous={})
    assert await api.deliver(theft) == "parked"
    assert await counts(database) == before
    assert "cus_1" in (await stored(database, "evt_2"))["verdict_reason"]


async def test_what_names_no_customer_is_parked_and_never_guessed(api, database) -> None:
    before = await counts(database)
    event = make_subscription_event("evt_1", "created", NOW)
    event["data"]["object"]["customer"] = None
    assert await api.deliver(event) == "parked"
    assert await counts(database) == {**before, "facts": before["facts"] + 1}


@pytest.mark.parametrize("change", [{"status": "hibernating"}, {"status": None}, {"items": 7}])
async def test_a_part_that_is_not_understood_gives_nothing_and_parks(api, database, change) -> None:
    event = make_subscription_event("evt_1", "created", NOW)
    event["data"]["object"].update(change)
    assert await api.deliver(event) == "parked"
    answer = await api.get("/api/v1/accounts/cus_1")
    if "items" in change:
        assert answer.status_code == 404  # nothing says that it is ours
    else:
        assert (answer.json()["tier"], answer.json()["state"]) == ("FREE", "created")
    assert await differences(database) == []


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        (
            {"items": {"data": [{"price": ENTERPRISE}], "has_more": True}},
            ("past_due", "FREE", "PRO"),
        ),
        ({"metadata": 7}, ("past_due", "FREE", "PRO")),
        ({"cancel_at_period_end": "soon"}, ("past_due", "FREE", "PRO")),
        ({"latest_invoice": 7, "cancel_at": "soon"}, ("past_due", "FREE", "PRO")),
        ({"status": "hibernating"}, ("active", "ENTERPRISE", "ENTERPRISE")),
    ],
)
async def test_each_part_of_an_update_counts_if_it_can_be_read(api, database, change, ends) -> None:
    """An update to unpaid and ENTERPRISE of which one part nobody can read; then it is paid."""
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    update = make_subscription_event(
        "evt_2", "updated", seconds(5), status="unpaid", price=ENTERPRISE, previous={}
    )
    update["data"]["object"].update(change)
    assert await api.deliver(update) == "parked"
    account = await api.account("cus_1")
    kept = (
        "ENTERPRISE"
        if change.keys() & {"metadata", "cancel_at_period_end", "latest_invoice"}
        else "PRO"
    )
    tier = ends[1]
    assert (account["state"], account["tier"]) == (ends[0], tier)
    # What was read of it stands: the next one says only that it is active again.
    again = make_subscription_event("evt_3", "updated", seconds(9), previous={})
    again["data"]["object"]["items"] = {"data": "?"}
    await api.deliver(again)
    expected = kept if "items" in change or kept == "ENTERPRISE" else "ENTERPRISE"
    assert (await api.account("cus_1"))["tier"] == expected
    assert await differences(database) == []


@pytest.mark.parametrize(
    "change",
    [
        {"items": {"data": [], "has_more": True}},
        {"status": "hibernating"},
        {"customer": None},
        {"metadata": 7, "items": None, "plan": None},
    ],
)
async def test_an_end_needs_an_id_and_a_time(api, database, change) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    ended = make_subscription_event("evt_2", "deleted", seconds(5), status="canceled")
    ended["data"]["object"].update(change)
    assert await api.deliver(ended) == "applied"
    account = await api.account("cus_1")
    assert (account["state"], account["tier"]) == ("canceled", "FREE")
    assert await differences(database) == []


async def test_a_parked_event_that_comes_again_in_a_readable_shape_is_read(api, database) -> None:
    """Two endpoints of one account have API versions of their own."""
    await api.deliver(make_subscription_event("evt_0", "created", NOW))
    readable = make_subscription_event(
        "evt_1", "updated", seconds(5), price=ENTERPRISE, previous={}
    )
    future = {**readable, "data": {"object": {**readable["data"]["object"], "items": {"of": 9}}}}
    assert await api.deliver(future) == "parked"
    assert await api.deliver(future) == "duplicate"
    assert (await api.account("cus_1"))["tier"] == "PRO"
    assert await api.deliver(readable) == "applied"
    assert await api.deliver(readable) == "duplicate"
    assert (await api.account("cus_1"))["tier"] == "ENTERPRISE"
    kept = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM event_bodies)"
    assert tuple(await database.fetchrow(kept)) == (2, 1)
    # An event that is understood is not read again, whatever comes under its id.
    other = make_subscription_event("evt_1", "updated", seconds(5), status="canceled", previous={})
    assert await api.deliver(other) == "duplicate"
    assert await differences(database) == []


async def test_the_best_of_several_subscriptions_counts(api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", seconds(0)))
    await api.deliver(
        make_subscription_event("evt_2", "created", seconds(1), subscription="s", price=ENTERPRISE)
    )
    assert (await api.account("cus_1"))["available"] == 50
    await api.deliver(
        make_subscription_event("evt_3", "deleted", seconds(2), subscription="s", price=ENTERPRISE)
    )
    account = await api.account("cus_1")
    assert (account["tier"], account["state"], account["available"]) == ("PRO", "active", 20)


# Bytes and signatures


async def post_raw(api: Api, payload: bytes, header: str) -> int:
    answer = await api.client.post(
        "/api/webhooks/stripe", content=payload, headers={"Stripe-Signature": header}
    )
    return answer.status_code


async def test_an_events_bytes_are_kept_as_they_came(api, database) -> None:
    event = make_subscription_event("evt_1", "created", NOW, note="é 😀 \u2028 / \\ 1e3")
    payload = b" \n" + json.dumps(event, indent=3, ensure_ascii=False).encode() + b"\n"
    assert await post_raw(api, payload, sign(payload, api.secret, int(time.time()))) == 200
    assert (await stored(database, "evt_1"))["payload"] == payload


async def test_a_bad_signature_leaves_nothing_behind(api, database) -> None:
    payload = json.dumps(make_subscription_event("evt_1", "created", NOW)).encode()
    now = int(time.time())
    good = sign(payload, api.secret, now)
    old = sign(payload, api.secret, now - TOLERANCE_S - 10)
    for header, body in [
        ("", payload),
        ("t=1", payload),
        (sign(payload, "whsec_other", now), payload),
        (old, payload),
        (good, payload + b" "),
        (good, payload.replace(b"sub_1", b"sub_2")),
    ]:
        assert await post_raw(api, body, header) == 400
    assert await count(database, "events") == await count(database, "accounts") == 0


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"\xff", b"", b'{"id": "evt_1"}'])
async def test_a_signed_body_that_is_no_event_leaves_nothing_behind(api, database, body) -> None:
    assert await post_raw(api, body, sign(body, api.secret, int(time.time()))) == 400
    assert await count(database, "events") == 0


async def test_while_a_secret_rolls_both_are_good(api, database, settings) -> None:
    for n, secret in enumerate(settings.stripe_webhook_secrets):
        event = make_subscription_event(f"evt_{n}", "created", NOW, subscription=f"sub_{n}")
        payload = json.dumps(event).encode()
        assert await post_raw(api, payload, sign(payload, secret, int(time.time()))) == 200
    assert await count(database, "events") == 2
