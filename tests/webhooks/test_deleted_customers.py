"""A deleted customer: its subscriptions are canceled, in whatever order Stripe tells of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import permutations

from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_customer_event, make_invoice_event, make_subscription_event

SECOND = timedelta(seconds=1)


async def test_a_deleted_customers_subscriptions_are_canceled_and_the_account_stays(
    api, database
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.deliver(make_subscription_event("evt_2", "created", NOW, subscription="sub_2"))
    await api.spend("cus_1", 2, "key-1")
    deletion = make_customer_event("evt_3", "deleted", NOW + 5 * SECOND)
    assert await api.deliver(deletion) == "applied"
    account = await api.account("cus_1")
    assert (account["tier"], account["state"], account["available"]) == ("FREE", "canceled", 3)
    assert {one["state"] for one in account["subscriptions"]} == {"canceled"}
    late = make_subscription_event("evt_4", "created", NOW, subscription="sub_3")
    assert await api.deliver(late) == "applied"
    account = await api.account("cus_1")
    assert (account["tier"], account["available"]) == ("FREE", 3)
    await api.set_clock(NOW + timedelta(days=1))
    assert (await api.account("cus_1"))["available"] == 5
    assert await differences(database) == []


async def test_the_transition_names_the_deletion(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.deliver(make_customer_event("evt_2", "deleted", NOW + 5 * SECOND))
    row = await database.fetchrow("SELECT * FROM transitions ORDER BY id DESC LIMIT 1")
    told = (row["from_state"], row["to_state"], row["event_id"], row["effective_at"])
    assert told == ("active", "canceled", "evt_2", NOW + 5 * SECOND)


async def test_every_order_of_a_deletion_ends_the_same(api, database) -> None:
    orders = list(permutations(range(5)))
    for number, order in enumerate(orders):
        sub = {"subscription": f"s_{number}", "customer": f"c_{number}"}
        events = [
            make_subscription_event(f"{number}_a", "created", NOW, **sub),
            make_invoice_event(f"{number}_b", "payment_failed", NOW + 2 * SECOND, **sub),
            make_customer_event(f"{number}_c", "deleted", NOW + 4 * SECOND, customer=f"c_{number}"),
            make_customer_event(f"{number}_d", "deleted", NOW + 3 * SECOND, customer=f"c_{number}"),
            make_subscription_event(f"{number}_e", "updated", NOW + 4 * SECOND, previous={}, **sub),
        ]
        for index in order:
            assert await api.deliver(events[index]) in ("applied", "stale")
    ends = await database.fetch(
        """SELECT state, subscriptions.tier, grace_tier, status, last_event_at, settled_to,
                  replace(settled::text, split_part(last_event_id, '_', 1) || '_', '') IS NULL,
                  accounts.tier, free, split_part(last_event_id, '_', 2)
             FROM subscriptions JOIN accounts ON accounts.id = account_id"""
    )
    assert len(Counter(map(tuple, ends))) == 1, Counter(map(tuple, ends))
    assert (ends[0]["state"], ends[0]["free"], len(ends)) == ("canceled", 5, len(orders))
    assert await differences(database) == []


async def test_what_a_subscription_says_after_the_deletion_names_the_account_in_every_order(
    api, database
) -> None:
    for number, order in enumerate(permutations(range(4))):
        sub = {"subscription": f"s_{number}", "customer": f"c_{number}"}
        named = {"metadata": {"tallybook_account_id": f"user-{number}"}}
        events = [
            make_subscription_event(f"{number}_a", "created", NOW, **sub),
            make_subscription_event(f"{number}_b", "updated", NOW + SECOND, previous={}, **sub),
            make_customer_event(f"{number}_c", "deleted", NOW + 2 * SECOND, customer=f"c_{number}"),
            make_subscription_event(
                f"{number}_d", "updated", NOW + 3 * SECOND, previous={}, **sub, **named
            ),
        ]
        for index in order:
            assert await api.deliver(events[index]) in ("applied", "stale")
        account = await api.account(f"c_{number}")
        assert (account["id"], account["tier"]) == (f"user-{number}", "FREE"), order
    assert await differences(database) == []
