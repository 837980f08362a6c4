"""Whose account a customer is: ranks, conflicts, late claims; and nobody gains a credit."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count, permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts import ties
from app.accounts.open import TieRank
from app.accounts.ties import Claimed
from app.allowance.day import Origin
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_customer_event, make_event, make_subscription_event

Event = dict[str, Any]


def seconds(count: int) -> datetime:
    return NOW + timedelta(seconds=count)


def subscribed(event_id: str, second: int, user: str | None, **more: Any) -> Event:
    metadata = {} if user is None else {"user_id": user}
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


async def test_a_customer_that_names_nobody_has_an_account_of_its_own(api, database) -> None:
    await api.deliver(make_customer_event("evt_1", "created", NOW))
    assert (await api.account("cus_1"))["id"] == "cus_1"
    await api.deliver(make_customer_event("evt_2", "updated", seconds(5), user_id="user-1"))
    assert (await api.account("cus_1"))["id"] == "user-1"
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1


async def test_a_late_claim_joins_the_customers_account_with_its_history(api, database) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.spend("user-1", 2, "key-1")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.spend("cus_1", 6, "key-2")
    await api.deliver(make_customer_event("evt_0", "created", seconds(-9), user_id="user-1"))
    account = await api.account("cus_1")
    assert (account["id"], account["tier"], account["available"]) == ("user-1", "PRO", 12)
    assert await differences(database) == []


async def test_a_customer_leaves_a_named_account_with_its_subscriptions_alone(
    api, database
) -> None:
    await api.deliver(make_customer_event("evt_1", "created", NOW, user_id="user-1"))
    await api.deliver(make_subscription_event("evt_2", "created", NOW))
    await api.client.post(
        "/api/v1/accounts/user-1/grants",
        json={"amount": 100, "reason": "a gift"},
        headers=api.headers("operator", **{"Idempotency-Key": "gift"}),
    )
    await api.spend("user-1", 12, "key-1")
    better = subscribed("evt_3", 5, "user-2", kind="updated")
    assert await api.deliver(better) == "applied"
    one, two = await api.account("user-1"), await api.account("user-2")
    assert (one["tier"], one["available"], one["subscriptions"]) == ("FREE", 100, [])
    assert (two["tier"], two["available"], two["id"]) == ("PRO", 8, "user-2")
    assert (await api.account("cus_1"))["id"] == "user-2"
    assert await differences(database) == []


async def test_no_event_undoes_a_put(api, database) -> None:
    assert await put(api, "user-1", "cus_1") == 201
    for event in (
        make_customer_event("evt_1", "created", NOW, user_id="user-2"),
        subscribed("evt_2", 1, "user-3"),
    ):
        assert await api.deliver(event) == "applied"
        assert (await api.account("cus_1"))["id"] == "user-1"
    assert "user-1" in (await verdict(database, "evt_2"))[1]
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1


async def test_a_put_outranks_what_events_said_and_takes_the_customer(api, database) -> None:
    await api.deliver(subscribed("evt_1", 0, "user-1"))
    await api.spend("user-1", 4, "key-1")
    assert await put(api, "user-2", "cus_1") == 201
    assert (await api.account("cus_1"))["id"] == "user-2"
    assert (await api.account("user-2"))["available"] == 16
    assert (await api.account("user-1"))["available"] == 1
    assert await put(api, "user-1", "cus_1") == 409
    assert await differences(database) == []


async def test_of_two_claims_of_one_rank_the_earlier_holds_and_the_other_is_parked(
    api, database
) -> None:
    for first, second in (("evt_a", "evt_b"), ("evt_d", "evt_c")):
        customer = f"cus_{first}"
        early = subscribed(
            "evt_1" + first, 0, "user-1" + first, customer=customer, subscription="s1" + first
        )
        late = subscribed(
            "evt_2" + first, 9, "user-2" + first, customer=customer, subscription="s2" + first
        )
        order = [early, late] if first < second else [late, early]
        outcomes = [await api.deliver(event) for event in order]
        assert outcomes == (["applied", "parked"] if first < second else ["applied", "applied"])
        account = await api.account(customer)
        assert account["id"] == "user-1" + first
        assert len(account["subscriptions"]) == 2
        ruled, reason = await verdict(database, "evt_2" + first)
        assert ruled == "parked"
        assert "user-1" + first in reason
        assert ("evt_1" + first in reason and "user-2" + first in reason) or first == "evt_d"
    assert await differences(database) == []


async def test_metadata_that_is_taken_away_ties_no_more(api) -> None:
    await api.deliver(subscribed("evt_1", 0, "user-1"))
    await api.deliver(subscribed("evt_2", 5, None, kind="updated"))
    assert (await api.account("cus_1"))["id"] == "cus_1"
    assert (await api.account("cus_1"))["tier"] == "PRO"
    assert (await api.account("user-1"))["tier"] == "FREE"
    await api.deliver(subscribed("evt_0", 2, "user-0", kind="updated"))  # late: no longer so
    assert (await api.account("cus_1"))["id"] == "cus_1"


async def test_an_impossible_id_in_the_metadata_ties_nobody_and_the_reason_says_so(
    api, database
) -> None:
    assert await api.deliver(subscribed("evt_1", 0, "two words")) == "applied"
    assert "'two words'" in (await verdict(database, "evt_1"))[1]
    assert (await api.account("cus_1"))["id"] == "cus_1"


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
        return await ties.claim(
            book,
            "cus_1",
            user,
            TieRank.CLIENT_REFERENCE,
            Origin("webhook", "stripe", event_id),
            event_id=event_id,
            occurred_at=seconds(second),
        )


async def test_a_claim_says_what_became_of_it(api, book, database) -> None:
    tied = await claim(book, database, "user-1", "evt_2", 5)
    assert tied.claimed is Claimed.TIED
    again = await claim(book, database, "user-1", "evt_2", 5)
    assert (again.claimed, again.account) == (Claimed.ALREADY, tied.account)
    later = await claim(book, database, "user-2", "evt_3", 9)
    assert (later.claimed, later.account) == (Claimed.CONFLICT, tied.account)
    assert "evt_2" in later.reason
    earlier = await claim(book, database, "user-0", "evt_1", 1)
    assert (earlier.claimed, earlier.displaced) == (Claimed.TIED, "evt_2")
    assert (await api.account("cus_1"))["id"] == "user-0"
    invalid = await claim(book, database, "no id", "evt_4", 0)
    assert (invalid.claimed, invalid.account) == (Claimed.INVALID, earlier.account)
    await put(api, "user-9", "cus_1")
    assert (await claim(book, database, "user-1", "evt_5", 0)).claimed is Claimed.OUTRANKED


def life_of_ties(name: str) -> list[Event]:
    """Two subscriptions and a customer that change their minds within seconds."""
    sub = {"customer": f"cus_{name}", "subscription": f"sub_{name}"}
    other = {"customer": f"cus_{name}", "subscription": f"oth_{name}"}
    return [
        make_customer_event(
            f"{name}_a", "created", seconds(0), customer=f"cus_{name}", user_id=f"u1-{name}"
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
        assert (account["id"], account["tier"]) == (f"u3-{name}", "ENTERPRISE"), order
        assert len(account["subscriptions"]) == 2
        parked = await database.fetch(
            "SELECT id FROM events WHERE verdict = 'parked' AND id LIKE $1", f"{name}\\_%"
        )
        assert {row["id"] for row in parked} <= {f"{name}_{letter}" for letter in "bce"}
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
