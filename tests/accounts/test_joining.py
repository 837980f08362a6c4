"""PUT: naming an account, tying its customer, joining two; nobody gains a credit."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import product

from app.accounts.put import put
from app.allowance.catalogue import default_text
from tests.acts import Acts, fill
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_customer_event, make_subscription_event

PRICES = {"PRO": "price_pro_monthly", "ENTERPRISE": "price_enterprise_monthly"}
CREDITS = {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}


async def tie(api, account_id: str, customer_id: str):
    return await api.put(f"/api/v1/accounts/{account_id}", {"stripe_customer_id": customer_id})


async def test_a_new_id_takes_over_the_customers_account_history_and_all(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.spend("cus_1", 3, "key-1")
    assert (await tie(api, "user-1", "cus_1")).status_code == 201
    for name in ("user-1", "cus_1"):
        account = await api.account(name)
        assert (account["id"], account["stripe_customer_id"]) == ("user-1", "cus_1")
        assert (account["tier"], account["available"]) == ("PRO", 17)
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1


async def test_a_customer_that_was_put_first_brings_its_subscription_here(api) -> None:
    await tie(api, "user-1", "cus_1")
    assert (await api.account("user-1"))["available"] == 5
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    assert (await api.account("user-1"))["available"] == 20


async def test_a_customer_of_another_put_is_taken(api) -> None:
    await tie(api, "user-1", "cus_1")
    answer = await tie(api, "user-2", "cus_1")
    assert (answer.status_code, answer.json()["code"]) == (409, "customer_taken")
    assert (await api.account("cus_1"))["id"] == "user-1"


async def test_a_put_that_is_repeated_changes_nothing(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    assert (await tie(api, "user-1", "cus_1")).status_code == 201
    before = await database.fetchval("SELECT count(*) FROM journals")
    assert (await tie(api, "user-1", "cus_1")).status_code == 200
    assert await database.fetchval("SELECT count(*) FROM journals") == before


async def test_a_refused_put_leaves_nothing_behind(api, database) -> None:
    await tie(api, "user-1", "cus_1")
    await tie(api, "user-2", "cus_1")
    answer = await api.put("/api/v1/accounts/user-3", {"time_zone": "Mars/Olympus"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_zone")
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1


async def test_joining_adds_up_what_the_day_has_used_and_nobody_gains(api, database) -> None:
    """Over spends before on both sides, and after: max(0, allowance - all that was used)."""
    for tier, on_customer, on_user, after in product(
        ("PRO", "ENTERPRISE"), (0, 4, 20), (0, 2, 5), (0, 9)
    ):
        name = f"{tier}-{on_customer}-{on_user}-{after}"
        event = make_subscription_event(
            f"evt_{name}",
            "created",
            NOW,
            price=PRICES[tier],
            subscription=f"sub_{name}",
            customer=f"cus_{name}",
        )
        await api.deliver(event)
        await api.put(f"/api/v1/accounts/{name}", {})
        if on_customer:
            assert (await api.spend(f"cus_{name}", on_customer, f"c-{name}")).status_code == 201
        if on_user:
            assert (await api.spend(name, on_user, f"u-{name}")).status_code == 201
        assert (await tie(api, name, f"cus_{name}")).status_code == 200
        left = max(0, CREDITS[tier] - on_customer - on_user)
        account = await api.account(name)
        assert (account["tier"], account["available"], account["balance"]) == (tier, left, left)
        if after:
            fits = after <= left
            assert (await api.spend(name, after, f"a-{name}")).status_code == (201 if fits else 402)
            left -= after if fits else 0
        assert (await api.account(f"cus_{name}"))["available"] == left
    assert await differences(database) == []


async def test_what_the_joined_had_used_counts_on_that_day_only(api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.spend("cus_1", 20, "key-1")
    await api.put("/api/v1/accounts/user-1", {})
    await tie(api, "user-1", "cus_1")
    assert (await api.account("user-1"))["available"] == 0
    upgrade = make_subscription_event(
        "evt_2", "updated", NOW, price=PRICES["ENTERPRISE"], previous={}
    )
    await api.deliver(upgrade)
    assert (await api.account("user-1"))["available"] == 30
    await api.set_clock(NOW.replace(day=2))
    assert (await api.account("user-1"))["available"] == 50


async def test_carried_credits_move_with_a_join(api, book, database) -> None:
    text = default_text().replace("carry_over_max = 0", "carry_over_max = 10")
    await apply_tiers(book, text)
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.set_clock(NOW.replace(day=2))
    await api.put("/api/v1/accounts/user-1", {})
    await tie(api, "user-1", "cus_1")
    account = await api.account("user-1")
    assert account["available"] == 30
    assert {lot["source"]: lot["free"] for lot in account["lots"]} == {"daily": 20, "carried": 10}
    await api.set_clock(NOW.replace(day=3))
    assert (await api.account("user-1"))["available"] == 30  # of the day before alone
    assert await differences(database) == []


async def test_any_debt_comes_along(api, database) -> None:
    """More than one entry's greatest amount, and a debt on the other side too."""
    most = 10**12
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.put("/api/v1/accounts/user-1", {})
    for account, count in (("cus_1", 3), ("user-1", 1)):
        acts = Acts(api, account)
        granted = [(await acts.done(await acts.grant(most)))["id"] for _ in range(count)]
        for _ in range(count):
            await acts.done(await acts.spend(most))
        await acts.done(await acts.spend((await api.account(account))["available"]))
        for journal_id in granted:
            await acts.done(await acts.reverse(journal_id, "debt"))
    assert (await api.account("cus_1"))["debt"] == 3 * most
    assert (await tie(api, "user-1", "cus_1")).status_code == 200
    account = await api.account("user-1")
    assert (account["debt"], account["available"]) == (4 * most, 0)
    assert await differences(database) == []


async def test_two_that_would_pass_the_greatest_balance_are_not_joined(api, database) -> None:
    most = 2**53 - 1
    await api.put("/api/v1/accounts/user-1", {})
    await fill(database, "user-1", most - 100)
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    grant = Acts(api, "cus_1")
    await grant.done(await grant.grant(200))
    answer = await tie(api, "user-1", "cus_1")
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    event = make_customer_event("evt_2", "updated", NOW, tallybook_account_id="user-1")
    assert await api.deliver(event) == "parked"
    account = await api.account("user-1")
    assert (account["tier"], account["balance"]) == ("PRO", most - 100 + 15)
    assert (await api.spend("user-1", 200, "key-1")).status_code == 201
    assert (await tie(api, "user-1", "cus_1")).status_code == 200
    assert await differences(database) == []


async def test_two_ids_that_want_one_customer_at_once_share_nothing(api, database) -> None:
    for n in range(5):
        await api.deliver(
            make_subscription_event(
                f"evt_{n}", "created", NOW, subscription=f"sub_{n}", customer=f"cus_{n}"
            )
        )
        answers = await asyncio.gather(
            tie(api, f"user-{n}-a", f"cus_{n}"), tie(api, f"user-{n}-b", f"cus_{n}")
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await differences(database) == []


async def test_one_id_put_many_times_at_once_is_one_account(api, database) -> None:
    for n in range(5):
        await api.deliver(
            make_subscription_event(
                f"evt_{n}", "created", NOW, subscription=f"sub_{n}", customer=f"cus_{n}"
            )
        )
        answers = await asyncio.gather(
            *(tie(api, f"user-{n}", f"cus_{n}") for _ in range(3)),
            *(api.put(f"/api/v1/accounts/user-{n}", {}) for _ in range(3)),
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 5}
        assert (await api.account(f"user-{n}"))["available"] == 20
    assert await differences(database) == []


async def test_spends_at_the_moment_of_joining_find_the_joined_account(api, database) -> None:
    """A spend by the customer's id that waits for the join goes to where the credits went."""
    for n in range(5):
        await api.deliver(
            make_subscription_event(
                f"evt_{n}", "created", NOW, subscription=f"sub_{n}", customer=f"cus_{n}"
            )
        )
        await api.put(f"/api/v1/accounts/user-{n}", {})
        answers = await asyncio.gather(
            *(api.spend(f"cus_{n}", 1, f"before-{n}-{i}") for i in range(4)),
            tie(api, f"user-{n}", f"cus_{n}"),
            *(api.spend(f"cus_{n}", 1, f"after-{n}-{i}") for i in range(4)),
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses == [201] * 4 + [200] + [201] * 4
        assert (await api.account(f"user-{n}"))["available"] == 12
    assert await differences(database) == []


async def test_a_list_that_is_walked_goes_on_after_a_join(api, book) -> None:
    await put(book, "user-1", None, None, "tests")
    event = make_subscription_event("evt_1", "created", NOW, subscription="sub_1", customer="cus_1")
    await api.deliver(event)
    for turn in range(3):
        assert (await api.spend("user-1", 1, f"s-{turn}")).status_code == 201
    query = {"account_id": "user-1", "limit": 2}
    first = (await api.get("/api/v1/ledger/entries", **query)).json()
    assert (await tie(api, "user-1", "cus_1")).status_code == 200
    answer = await api.get(
        "/api/v1/ledger/entries", **{**query, "limit": 1000}, cursor=first["next_cursor"]
    )
    assert answer.status_code == 200
    whole = (await api.get("/api/v1/ledger/entries", account_id="user-1")).json()["data"]
    seen = [entry["id"] for entry in first["data"] + answer.json()["data"]]
    assert len(seen) == len(set(seen))
    own = {entry["id"] for entry in whole if entry["id"] >= seen[0]}
    assert {entry["id"] for entry in whole if entry["kind"] == "spend"} <= set(seen)
    assert set(seen) <= own


async def test_what_a_joined_account_held_of_its_day_is_free_again_once_released(
    api, database
) -> None:
    """As if it had been held here all along, whatever either had used."""
    for number, (before, other, held) in enumerate(product((0, 3), (0, 4), (6, 12))):
        await api.deliver(
            make_subscription_event(
                f"evt_{number}", "created", NOW, subscription=f"s_{number}", customer=f"c_{number}"
            )
        )
        await api.put(f"/api/v1/accounts/u-{number}", {})
        if before:
            await api.spend(f"c_{number}", before, f"b-{number}")
        if other:
            await api.spend(f"u-{number}", other, f"o-{number}")
        acts = Acts(api, f"c_{number}")
        first, second = await acts.held(held), await acts.held(2)
        await tie(api, f"u-{number}", f"c_{number}")
        used = before + other
        assert (await api.account(f"u-{number}"))["available"] == max(0, 20 - used - held - 2)
        assert (await acts.release(first)).status_code == 200
        assert (await api.account(f"u-{number}"))["available"] == max(0, 20 - used - 2)
        assert (await acts.capture(second, 1)).status_code == 200
        assert (await api.account(f"u-{number}"))["available"] == max(0, 20 - used - 1)
        assert await differences(database) == []
    await api.set_clock(NOW.replace(day=2))
    assert (await api.account("u-0"))["available"] == 20
    assert await differences(database) == []
