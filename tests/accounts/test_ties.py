"""Whose account a customer is: ranks, conflicts, late claims; and nobody gains a credit."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import count, permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts import ties
from app.accounts.claims import Said
from app.accounts.open import ID_LOCK, Rank
from app.accounts.ties import Claimed
from app.allowance.origin import Origin
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund_event, make_session_event
from tests.stripe_events import make_customer_event, make_event, make_subscription_event

Event = dict[str, Any]


def seconds(count: int) -> datetime:
    return NOW + timedelta(seconds=count)


def subscribed(event_id: str, second: int, user: str | None, **more: Any) -> Event:
    metadata = {} if user is None else {"tallybook_account_id": user}
    kind = more.pop("kind", "created")
    return make_subscription_event(
        event_id, kind, seconds(second), metadata=metadata, previous={}, **more
    )


async def put(api, account_id: str, customer_id: str) -> int:
    answer = await api.put(f"/api/v1/accounts/{account_id}", {"stripe_customer_id": customer_id})
    return int(answer.status_code)


async def verdict(database, event_id: str) -> tuple[str, str]:
    row = await database.fetchrow("SELECT * FROM events WHERE id = $1", event_id)
    return row["verdict"], row["verdict_reason"]


async def test_metadata_of_a_subscription_ties_its_customer_at_once(api) -> None:
    assert await api.deliver(subscribed("evt_1", 0, "user-1")) == "applied"
    for name in ("user-1", "cus_1"):
        account = await api.account(name)
        assert (account["id"], account["stripe_customer_id"]) == ("user-1", "cus_1")
        assert (account["tier"], account["available"]) == ("PRO", 20)
    assert (await api.put("/api/v1/accounts/user-1", {})).status_code == 200


async def test_metadata_of_a_customer_ties_it_before_anything_is_bought(api) -> None:
    event = make_customer_event("evt_1", "created", NOW, tallybook_account_id="user-1")
    assert await api.deliver(event) == "applied"
    assert (await api.account("user-1"))["available"] == 5
    await api.deliver(make_subscription_event("evt_2", "created", NOW))
    assert (await api.account("user-1"))["available"] == 20


async def test_a_customer_that_names_nobody_opens_no_account(api, database) -> None:
    assert await api.deliver(make_customer_event("evt_1", "created", NOW)) == "ignored"
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0
    named = make_customer_event("evt_2", "updated", seconds(5), tallybook_account_id="user-1")
    assert await api.deliver(named) == "applied"
    assert (await api.account("cus_1"))["id"] == "user-1"
    # Once it has bought, an account under its own id is its own.
    await api.deliver(make_subscription_event("evt_3", "created", NOW, customer="cus_2"))
    assert (await api.account("cus_2"))["id"] == "cus_2"
    assert await api.deliver(make_customer_event("evt_4", "updated", NOW, customer="cus_2"))
    assert (await api.account("cus_2"))["tier"] == "PRO"


async def test_a_late_claim_joins_the_customers_account_with_its_history(api, database) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.spend("user-1", 2, "key-1")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.spend("cus_1", 6, "key-2")
    await api.deliver(
        make_customer_event("evt_0", "created", seconds(-9), tallybook_account_id="user-1")
    )
    account = await api.account("cus_1")
    assert (account["id"], account["tier"], account["available"]) == ("user-1", "PRO", 12)
    assert await differences(database) == []


async def test_a_customer_leaves_a_named_account_with_its_subscriptions_alone(
    api, database
) -> None:
    await api.deliver(make_customer_event("evt_1", "created", NOW, tallybook_account_id="user-1"))
    await api.deliver(make_subscription_event("evt_2", "created", NOW))
    await api.client.post(
        "/api/v1/accounts/user-1/grants",
        json={"amount": 100, "reason": "a gift"},
        headers=api.headers("operator", **{"Idempotency-Key": "gift"}),
    )
    await api.spend("user-1", 12, "key-1")
    other = make_customer_event("evt_3", "updated", seconds(5), tallybook_account_id="user-2")
    assert await api.deliver(other) == "applied"
    one, two = await api.account("user-1"), await api.account("user-2")
    assert (one["tier"], one["available"], one["subscriptions"]) == ("FREE", 100, [])
    assert (two["tier"], two["available"], two["id"]) == ("PRO", 8, "user-2")
    assert (await api.account("cus_1"))["id"] == "user-2"
    assert await differences(database) == []


async def test_a_subscriptions_own_name_says_whose_that_subscription_is_alone(
    api, database
) -> None:
    """One payer for several accounts, also one whom the application introduced by PUT."""
    for customer, tied in (("cus_a", None), ("cus_b", "boss")):
        if tied:
            assert await put(api, tied, customer) == 201
        one = {"customer": customer, "subscription": f"sub_1_{customer}"}
        two = {"customer": customer, "subscription": f"sub_2_{customer}"}
        plain = {"customer": customer, "subscription": f"sub_3_{customer}"}
        enterprise = {"price": "price_enterprise_monthly"}
        events = [
            subscribed(f"evt_1_{customer}", 0, f"ws-1-{customer}", **one),
            subscribed(f"evt_2_{customer}", 1, f"ws-2-{customer}", **two, **enterprise),
            subscribed(f"evt_3_{customer}", 2, None, **plain),
        ]
        assert [await api.deliver(event) for event in events] == ["applied"] * 3
        first, second = await api.account(f"ws-1-{customer}"), await api.account(f"ws-2-{customer}")
        assert (first["tier"], first["available"]) == ("PRO", 20)
        assert (second["tier"], second["available"]) == ("ENTERPRISE", 50)
        # The one without a name goes to the account that the customer is tied to.
        owner = await api.account(customer)
        assert owner["id"] == (tied or f"ws-1-{customer}")
        assert plain["subscription"] in {one["id"] for one in owner["subscriptions"]}
    assert await differences(database) == []


async def test_no_event_undoes_a_put(api, database) -> None:
    assert await put(api, "user-1", "cus_1") == 201
    for event in (
        make_customer_event("evt_1", "created", NOW, tallybook_account_id="user-2"),
        subscribed("evt_2", 1, "user-3"),
    ):
        assert await api.deliver(event) == "applied"
        assert (await api.account("cus_1"))["id"] == "user-1"
    # The tie stands; that subscription has a name of its own.
    assert (await api.account("user-1"))["tier"] == "FREE"
    assert (await api.account("user-3"))["tier"] == "PRO"
    assert await database.fetchval("SELECT count(*) FROM accounts") == 2


async def test_a_put_outranks_what_events_said_and_takes_the_customer(api, database) -> None:
    await api.deliver(make_customer_event("evt_0", "created", NOW, tallybook_account_id="user-1"))
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.spend("user-1", 4, "key-1")
    assert await put(api, "user-2", "cus_1") == 201
    assert (await api.account("cus_1"))["id"] == "user-2"
    assert (await api.account("user-2"))["available"] == 16
    assert (await api.account("user-1"))["available"] == 1
    assert await put(api, "user-1", "cus_1") == 409
    assert await differences(database) == []


async def test_a_put_of_null_takes_the_customer_away(api, database) -> None:
    assert await put(api, "user-1", "cus_1") == 201
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    assert (await api.account("user-1"))["tier"] == "PRO"
    answer = await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": None})
    assert (answer.status_code, answer.json()["stripe_customer_id"]) == (200, None)
    assert (await api.account("user-1"))["tier"] == "FREE"
    assert (await api.account("cus_1"))["tier"] == "PRO"
    assert await put(api, "user-2", "cus_1") == 201
    assert await differences(database) == []


async def test_of_two_names_of_subscriptions_the_earlier_ties_the_customer(api, database) -> None:
    for first, second in (("evt_a", "evt_b"), ("evt_d", "evt_c")):
        customer = f"cus_{first}"
        early = subscribed(
            "evt_1" + first, 0, "user-1" + first, customer=customer, subscription="s1" + first
        )
        late = subscribed(
            "evt_2" + first, 9, "user-2" + first, customer=customer, subscription="s2" + first
        )
        order = [early, late] if first < second else [late, early]
        assert [await api.deliver(event) for event in order] == ["applied", "applied"]
        account = await api.account(customer)
        assert account["id"] == "user-1" + first
        assert [one["id"] for one in account["subscriptions"]] == ["s1" + first]
        other = await api.account("user-2" + first)
        assert [one["id"] for one in other["subscriptions"]] == ["s2" + first]
    assert await differences(database) == []


async def test_an_event_brings_no_debt_to_another_account(api, database) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.deliver(make_session_event("evt_1", NOW))
    await api.spend("cus_1", 105, "key-1")
    await api.deliver(make_refund_event("evt_2", seconds(1), 1_000))
    assert (await api.account("cus_1"))["debt"] == 100
    event = make_customer_event("evt_3", "updated", seconds(2), tallybook_account_id="user-1")
    assert await api.deliver(event) == "parked"
    account = await api.account("cus_1")
    assert (account["id"], account["debt"], account["available"]) == ("user-1", 0, 5)
    # The application's PUT is what decides.
    assert await put(api, "user-1", "cus_1") == 200
    account = await api.account("user-1")
    assert (account["debt"], account["available"]) == (100, 0)
    assert await differences(database) == []


async def test_metadata_that_is_taken_away_ties_no_more(api) -> None:
    await api.deliver(subscribed("evt_1", 0, "user-1"))
    await api.deliver(subscribed("evt_2", 5, None, kind="updated"))
    assert (await api.account("cus_1"))["id"] == "cus_1"
    assert (await api.account("cus_1"))["tier"] == "PRO"
    assert (await api.account("user-1"))["tier"] == "FREE"
    await api.deliver(subscribed("evt_0", 2, "user-0", kind="updated"))  # late: no longer so
    assert (await api.account("cus_1"))["id"] == "cus_1"


async def test_an_impossible_id_in_the_metadata_is_parked_and_the_rest_counts(
    api, database
) -> None:
    assert await api.deliver(subscribed("evt_1", 0, "two words")) == "parked"
    assert "'two words'" in (await verdict(database, "evt_1"))[1]
    account = await api.account("cus_1")
    assert (account["id"], account["tier"]) == ("cus_1", "PRO")


async def claim(book, database, user: str, event_id: str, second: int):
    """What a Checkout session's event does."""
    event = make_event(event_id, "checkout.session.completed", seconds(second), {"id": "cs"})
    async with database.transaction():
        await database.execute(
            """INSERT INTO events (id, type, livemode, created_at, received_at, payload, verdict,
                                   verdict_reason) VALUES ($1, $2, false, $3, $3, '', 'applied', '')
               ON CONFLICT (id) DO NOTHING""",
            event_id,
            event["type"],
            seconds(second),
        )
        said = Said(
            rank=Rank.NAMED,
            object_id=f"cs_{user}",
            external_id=user,
            event_id=event_id,
            occurred_at=seconds(second),
        )
        customer = await ties.lock(book, "cus_1", user)
        return await ties.claim(book, customer, said, Origin("webhook", "stripe", event_id))


async def test_a_claim_says_what_became_of_it(api, book, database) -> None:
    tied = await claim(book, database, "user-1", "evt_2", 5)
    assert tied.claimed is Claimed.TIED
    again = await claim(book, database, "user-1", "evt_2", 5)
    assert (again.claimed, again.account) == (Claimed.ALREADY, tied.account)
    later = await claim(book, database, "user-2", "evt_3", 9)
    assert (later.claimed, later.account) == (Claimed.OUTRANKED, tied.account)
    assert "user-1" in later.reason
    earlier = await claim(book, database, "user-0", "evt_1", 1)
    assert earlier.claimed is Claimed.TIED
    assert (await api.account("cus_1"))["id"] == "user-0"
    await put(api, "user-9", "cus_1")
    assert (await claim(book, database, "user-1", "evt_5", 0)).claimed is Claimed.OUTRANKED


def life_of_ties(name: str) -> list[Event]:
    """Two subscriptions and a customer that change their minds within seconds."""
    sub = {"customer": f"cus_{name}", "subscription": f"sub_{name}"}
    other = {"customer": f"cus_{name}", "subscription": f"oth_{name}"}
    return [
        make_customer_event(
            f"{name}_a",
            "created",
            seconds(0),
            customer=f"cus_{name}",
            tallybook_account_id=f"u1-{name}",
        ),
        subscribed(f"{name}_b", 1, f"u2-{name}", **sub),
        subscribed(f"{name}_c", 2, f"u3-{name}", price="price_enterprise_monthly", **other),
        subscribed(f"{name}_d", 3, None, kind="updated", **sub),
        subscribed(f"{name}_e", 4, f"u4-{name}", kind="updated", **sub),
    ]


async def test_the_tie_is_the_same_in_every_order(api, database) -> None:
    for number, order in enumerate(permutations(range(5))):
        name = f"o{number}"
        events = life_of_ties(name)
        for index in order:
            await api.deliver(events[index])
        account = await api.account(f"cus_{name}")
        assert (account["id"], account["tier"]) == (f"u1-{name}", "FREE"), order
        other, last = await api.account(f"u3-{name}"), await api.account(f"u4-{name}")
        assert (other["tier"], last["tier"]) == ("ENTERPRISE", "PRO"), order
    assert await differences(database) == []


async def test_a_name_that_is_repeated_is_as_early_as_it_was_first_told(api, database) -> None:
    """user-1 is named at second 0 and again at 9, user-2 by another subscription between."""
    for number, order in enumerate(permutations(range(3))):
        customer, one, two = f"cus_{number}", f"s1_{number}", f"s2_{number}"
        events = [
            subscribed(f"e{number}_1", 0, f"u1-{number}", customer=customer, subscription=one),
            subscribed(f"e{number}_2", 5, f"u2-{number}", customer=customer, subscription=two),
            subscribed(
                f"e{number}_3",
                9,
                f"u1-{number}",
                kind="updated",
                customer=customer,
                subscription=one,
            ),
        ]
        for index in order:
            await api.deliver(events[index])
        assert (await api.account(customer))["id"] == f"u1-{number}", order
    assert await differences(database) == []


async def test_a_customer_that_a_browser_gave_for_has_its_own_account_in_every_order(
    api, database
) -> None:
    for number, order in enumerate(permutations(range(2))):
        names = {"customer": f"cus_{number}", "subscription": f"sub_{number}"}
        session = make_session_event(
            f"e{number}_2",
            NOW,
            session=f"cs_{number}",
            intent=None,
            mode="subscription",
            metadata={},
            reference=f"friend-{number}",
            **names,
        )
        events = [make_subscription_event(f"e{number}_1", "created", NOW, **names), session]
        for index in order:
            await api.deliver(events[index])
        own = await api.account(f"cus_{number}")
        assert (own["id"], own["tier"], own["available"]) == (f"cus_{number}", "FREE", 5), order
        assert (await api.account(f"friend-{number}"))["tier"] == "PRO", order
    assert await differences(database) == []


steps = st.one_of(
    st.tuples(st.just("name"), st.integers(0, 3)),  # 0 takes the metadata away
    st.tuples(st.just("put"), st.integers(1, 3)),
    st.tuples(st.just("spend"), st.integers(0, 3)),  # 0 by the customer's own id
)
NUMBERS = count(1)  # each example has ids of its own, also while one is made smaller
FREE, PRO = 5, 20


@settings(max_examples=25)
@given(drawn=st.lists(steps, min_size=2, max_size=9))
async def test_tying_and_untying_gains_nobody_a_credit(api, database, drawn) -> None:
    """On one day all accounts together draw at most what PRO gives, and each other its FREE."""
    number = next(NUMBERS)
    customer = f"cus_{number}"
    sub = {"customer": customer, "subscription": f"sub_{number}"}
    await api.deliver(subscribed(f"evt_{number}", 0, None, **sub))
    names: set[str] = {customer}
    total = 0
    for step, (kind, which) in enumerate(drawn, start=1):
        user = f"u{which}-{number}" if which else None
        if kind == "name":
            event = subscribed(f"evt_{number}_{step}", step, user, kind="updated", **sub)
            await api.deliver(event)
        elif kind == "put":
            await put(api, f"u{which}-{number}", customer)
        for name in [user or customer] if kind == "spend" else []:
            answer = await api.get(f"/api/v1/accounts/{name}")
            if answer.status_code == 200 and answer.json()["available"]:
                amount = (answer.json()["available"] + 1) // 2 if step % 2 else 3
                spent = await api.spend(name, amount, f"key-{number}-{step}")
                total += amount if spent.status_code == 201 else 0
    names |= {f"u{n}-{number}" for n in range(1, 4)}
    for name in sorted(names):
        answer = await api.get(f"/api/v1/accounts/{name}")
        if answer.status_code == 200 and answer.json()["available"]:
            amount = answer.json()["available"]
            assert (await api.spend(name, amount, f"end-{number}-{name}")).status_code == 201
            total += amount
    accounts = await database.fetchval(
        """SELECT count(*) FROM accounts WHERE external_id LIKE $1 OR id = (
               SELECT account_id FROM customers WHERE id = $2)""",
        f"u_-{number}",
        customer,
    )
    assert total <= PRO + FREE * (accounts - 1)
    assert await differences(database) == []


async def test_an_event_waits_shortly_while_another_gives_the_name_that_it_needs(
    api, superuser
) -> None:
    session = make_session_event(
        "evt_1",
        NOW,
        session="cs_1",
        intent=None,
        mode="subscription",
        metadata={},
        reference="friend",
        customer="cus_1",
        subscription="sub_1",
    )
    await api.deliver(session)
    naming = superuser.transaction()
    await naming.start()
    await superuser.execute("SELECT pg_advisory_xact_lock(hashtextextended('friend', $1))", ID_LOCK)
    created = make_subscription_event("evt_2", "created", NOW, customer="cus_1")
    delivered = asyncio.create_task(api.deliver(created))
    await asyncio.sleep(0.1)
    await naming.rollback()
    assert await delivered == "applied"
    assert (await api.account("friend"))["available"] == 20


async def test_an_account_put_by_its_customers_id_is_told_after_it_lost_that_customer(api) -> None:
    assert await put(api, "user-1", "cus_1") == 201
    answer = await api.put("/api/v1/accounts/cus_1", {"stripe_customer_id": None})
    assert (answer.status_code, answer.json()["id"]) == (200, "user-1")
    assert answer.json()["stripe_customer_id"] is None
