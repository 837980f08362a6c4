"""Renamed and merged accounts: every id that one had keeps working, and means one account."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.allowance.catalogue import default_text
from tests.acts import DAY, Acts, subscribe
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund_event, make_session_event
from tests.stripe_events import make_customer_event, make_subscription_event


@pytest.fixture
async def acts(api) -> Acts:
    """A FREE account, user-1."""
    await api.put("/api/v1/accounts/user-1", {})
    return Acts(api)


async def rename(acts: Acts, public_id: str, to: str, *, key: str | None = None):
    body = {"to": to, "reason": "the users' ids were changed"}
    return await acts.post(f"accounts/{public_id}/rename", body, key=key, scope="operator")


async def merge(acts: Acts, public_id: str, into: str, *, key: str | None = None):
    body = {"into": into, "reason": "one person with two accounts"}
    return await acts.post(f"accounts/{public_id}/merge", body, key=key, scope="operator")


async def names(api, public_id: str) -> tuple[str, list[str]]:
    account = await api.account(public_id)
    return account["id"], account["aliases"]


async def test_every_id_that_it_had_keeps_working_for_all_that_one_does(acts, database) -> None:
    await acts.spend(1)
    first = await acts.done(await rename(acts, "user-1", "user-2"))
    assert (first["id"], first["aliases"]) == ("user-2", ["user-1"])
    await acts.done(await rename(acts, "user-1", "auth0|3"))
    for name in ("user-1", "user-2", "auth0|3"):
        assert await names(acts.api, name) == ("auth0|3", ["user-1", "user-2"])
    spent = await acts.done(await acts.spend(1))  # by user-1
    assert (spent["account_id"], spent["available"]) == ("auth0|3", 3)
    captured = await acts.capture(await acts.held(1), 1)
    assert captured.status_code == 200
    put = await acts.api.put("/api/v1/accounts/user-2", {"time_zone": "Europe/Berlin"})
    assert (put.status_code, put.json()["id"]) == (200, "auth0|3")
    batch = {"spends": [{"account_id": "user-2", "amount": 1, "idempotency_key": "batch-1"}]}
    (one,) = (await acts.done(await acts.post("spends/batch", batch)))["results"]
    assert one["status"] == 201
    listed = (await acts.api.get("/api/v1/ledger/entries", account_id="user-1")).json()["data"]
    assert {entry["account_id"] for entry in listed} == {"auth0|3"}
    assert len(listed) == 6
    balance = await acts.api.get("/api/v1/accounts/user-2/balance")
    assert balance.json()["balance"] == 1
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1
    assert await differences(database) == []


async def test_a_name_may_come_back(acts) -> None:
    await acts.done(await rename(acts, "user-1", "user-2"))
    back = await acts.done(await rename(acts, "user-2", "user-1"))
    assert (back["id"], back["aliases"]) == ("user-1", ["user-2"])
    await acts.done(await rename(acts, "user-2", "user-3"))
    assert await names(acts.api, "user-1") == ("user-3", ["user-1", "user-2"])


async def test_a_taken_id_is_refused_whoever_has_it(acts, database) -> None:
    await acts.api.put("/api/v1/accounts/user-2", {})
    await acts.done(await rename(acts, "user-2", "user-3"))
    await acts.api.deliver(make_subscription_event("evt_1", "created", NOW))
    before = await database.fetchval("SELECT count(*) FROM operator_acts")
    for taken in ("user-2", "user-3", "cus_1"):  # an alias, an id, a customer's
        answer = await rename(acts, "user-1", taken, key="the-key")
        assert (answer.status_code, answer.json()["code"]) == (409, "account_taken")
    unknown = await rename(acts, "nobody", "user-9")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "account_unknown")
    assert await database.fetchval("SELECT count(*) FROM operator_acts") == before
    assert (await rename(acts, "user-1", "user-9", key="the-key")).status_code == 200


async def test_the_database_refuses_an_id_of_two_accounts(acts, database) -> None:
    await acts.done(await rename(acts, "user-1", "user-2"))
    for statement in (
        """INSERT INTO accounts (external_id, tier, due_at, opened_at)
           VALUES ('user-1', 'FREE', tallybook_now(), tallybook_now())""",
        """WITH other AS (INSERT INTO accounts (external_id, tier, due_at, opened_at)
                          VALUES ('user-9', 'FREE', tallybook_now(), tallybook_now()) RETURNING id)
           INSERT INTO aliases (external_id, account_id, since)
           SELECT 'user-2', id, tallybook_now() FROM other""",
    ):
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.execute(statement)


async def test_a_key_makes_one_rename_and_is_of_no_other_act(acts) -> None:
    first = await rename(acts, "user-1", "user-2", key="the-key")
    again = await rename(acts, "user-1", "user-2", key="the-key")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    for other in (
        await rename(acts, "user-1", "user-3", key="the-key"),
        await acts.grant(1, key="the-key"),
    ):
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    unkeyed = await acts.api.client.post(
        "/api/v1/accounts/user-2/rename",
        json={"to": "user-3", "reason": "x"},
        headers=acts.api.headers("operator"),
    )
    assert unkeyed.status_code == 400


async def test_events_that_name_an_id_it_had_before_find_it(acts, database) -> None:
    """In its metadata, as the reference of a pack, and as the application's PUT of a customer."""
    await acts.done(await rename(acts, "user-1", "user-2"))
    named = make_customer_event("evt_1", "created", NOW, tallybook_account_id="user-1")
    assert await acts.api.deliver(named) == "applied"
    assert await names(acts.api, "cus_1") == ("user-2", ["user-1"])
    subscribed = make_subscription_event(
        "evt_2", "created", NOW, metadata={"tallybook_account_id": "user-1"}
    )
    assert await acts.api.deliver(subscribed) == "applied"
    gift = make_session_event("evt_3", NOW, customer=None, reference="user-1")
    assert await acts.api.deliver(gift) == "applied"
    account = await acts.api.account("user-1")
    assert (account["tier"], account["available"]) == ("PRO", 120)
    row = await database.fetchrow("SELECT verdict_reason FROM events WHERE id = 'evt_1'")
    assert row["verdict_reason"] == "cus_1 is user-1's"
    again = {"stripe_customer_id": "cus_1"}
    assert (await acts.api.put("/api/v1/accounts/user-1", again)).status_code == 200
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1
    assert await differences(database) == []


async def test_all_that_an_account_has_is_merged_into_another(acts, database) -> None:
    """Lots, holds, debt, customers by PUT and by metadata, what was used, and its names."""
    await subscribe(acts, "PRO")
    paid = make_session_event("evt_pack", NOW, metadata={"tallybook_pack": "P100"})
    named = make_customer_event("evt_named", "created", NOW, tallybook_account_id="user-1")
    for event in (named, paid):
        assert await acts.api.deliver(event) == "applied"
    await acts.spend(6)
    held = await acts.held(4)
    await acts.done(await rename(acts, "user-1", "user-one"))
    await acts.api.put("/api/v1/accounts/user-2", {"stripe_customer_id": "cus_2"})
    await acts.api.spend("user-2", 2, "spend-2")
    merged = await acts.done(await merge(acts, "user-one", "user-2"))
    assert (merged["id"], merged["aliases"]) == ("user-2", ["user-1", "user-one"])
    assert (merged["tier"], merged["available"], merged["held"]) == ("PRO", 100 + 20 - 6 - 4 - 2, 4)
    for name in ("user-1", "user-one", "cus_user-1", "cus_1", "cus_2"):
        assert (await acts.api.account(name))["id"] == "user-2"
    await acts.done(await acts.release(held))
    assert await acts.available() == 112
    # Its money and its events find where it is now.
    refunded = make_refund_event("evt_refund", NOW, 1_000)
    assert await acts.api.deliver(refunded) == "applied"
    assert await acts.available() == 12
    gone = make_subscription_event(
        "evt_gone",
        "deleted",
        NOW,
        status="canceled",
        subscription="sub_user-1",
        customer="cus_user-1",
    )
    assert await acts.api.deliver(gone) == "applied"
    assert (await acts.api.account("user-2"))["tier"] == "FREE"
    act = await database.fetchrow(
        """SELECT act, notes.reason, accounts.external_id FROM operator_acts
             JOIN notes USING (journal_id) JOIN accounts ON accounts.id = account_id
            WHERE act = 'merge'"""
    )
    assert tuple(act) == ("merge", "one person with two accounts", "user-2")
    assert await differences(database) == []
    await acts.api.set_clock(NOW + DAY)
    assert await acts.available() == 5


async def test_a_merge_is_done_once_and_its_account_never_opens_again(acts, database) -> None:
    await acts.api.put("/api/v1/accounts/user-2", {})
    await acts.grant(10)
    first = await merge(acts, "user-1", "user-2", key="the-key")
    again = await merge(acts, "user-1", "user-2", key="the-key")
    assert (first.json()["available"], again.json()) == (15, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    for one, into in (("user-1", "user-2"), ("user-2", "user-2")):
        answer = await merge(acts, one, into)
        assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    reopened = await acts.post("accounts/user-1/reopen", {"reason": "x"}, scope="operator")
    assert reopened.json()["id"] == "user-2"
    assert await database.fetchval("SELECT count(*) FROM accounts WHERE closed_at IS NULL") == 1
    assert await differences(database) == []


async def test_nothing_is_merged_into_a_closed_account(acts) -> None:
    await acts.api.put("/api/v1/accounts/user-2", {})
    await acts.post("accounts/user-2/close", scope="operator")
    answer = await merge(acts, "user-1", "user-2")
    assert (answer.status_code, answer.json()["code"]) == (409, "account_closed")
    assert (await acts.api.account("user-1"))["id"] == "user-1"


async def test_a_merge_decides_over_debt_that_an_event_left_apart(acts, database) -> None:
    await acts.api.deliver(make_session_event("evt_1", NOW, customer="cus_9"))
    await acts.api.spend("cus_9", 105, "spend-9")
    await acts.api.deliver(make_refund_event("evt_2", NOW, 1_000))
    event = make_customer_event(
        "evt_3", "updated", NOW, customer="cus_9", tallybook_account_id="user-1"
    )
    assert await acts.api.deliver(event) == "parked"
    merged = await acts.done(await merge(acts, "cus_9", "user-1"))
    assert (merged["debt"], merged["available"]) == (100, 0)
    replayed = await acts.post("events/evt_3/replay", {"reason": "merged"}, scope="operator")
    assert replayed.json()["outcome"] == "applied"
    assert await differences(database) == []


async def test_merges_beside_events_spends_and_each_other_lose_nothing(acts, database) -> None:
    """Two merges of one chain, in either order, while the customer's events and spends come."""
    for turn in range(4):
        one, two, three = (f"m-{turn}-{n}" for n in range(3))
        for name in (one, two, three):
            await acts.api.put(f"/api/v1/accounts/{name}", {"stripe_customer_id": f"cus-{name}"})
        other = Acts(acts.api, one)
        await other.grant(10)
        events = [
            make_subscription_event(
                f"evt-{turn}-{n}",
                "updated" if n else "created",
                NOW,
                subscription=f"sub-{turn}",
                customer=f"cus-{one}",
                previous={} if n else None,
            )
            for n in range(3)
        ]
        answers: list[Any] = await asyncio.gather(
            merge(acts, one, two),
            *(acts.api.deliver(event) for event in events),
            merge(acts, two, three),
            *(acts.api.spend(one, 1, f"{one}-{n}") for n in range(4)),
        )
        assert {answers[0].status_code, answers[4].status_code} == {200}
        assert [answer.status_code for answer in answers[5:]] == [201] * 4
        account = await acts.api.account(one)
        assert (account["id"], account["tier"], account["balance"]) == (three, "PRO", 26)
    assert await differences(database) == []


@pytest.mark.parametrize(("source", "target"), [("user-1", "user-2"), ("user-2", "user-1")])
async def test_two_are_merged_after_a_midnight_that_no_tick_has_posted(
    acts, api, book, database, source, target
) -> None:
    """What was carried into the day that the merge opens moves too, whichever is the older."""
    await apply_tiers(
        book, default_text().replace("[tiers.FREE]", "[tiers.FREE]\ncarry_over_max = 10")
    )
    await api.put("/api/v1/accounts/user-2", {})
    await api.set_clock(NOW + DAY)
    await api.set_clock(NOW + 2 * DAY, tick=False)
    answer = await merge(acts, source, target)
    assert answer.status_code == 200, answer.text
    # The day's 5 once, and of each what was carried: user-2 has carried since its first midnight.
    assert answer.json()["available"] == 5 + 5 + 10
    assert await differences(database) == []


async def test_a_lot_that_is_held_whole_burns_in_its_turn_after_a_merge(
    acts, api, database
) -> None:
    await api.put("/api/v1/accounts/user-2", {})
    await acts.done(await acts.grant(4, priority=1))
    hold_id = await acts.held(4)
    other = Acts(api, "user-2")
    await api.set_clock(NOW + timedelta(minutes=5))
    await other.done(await other.grant(6, priority=1))
    assert (await merge(acts, "user-1", "user-2")).status_code == 200
    await other.done(await other.release(hold_id))
    await other.done(await other.spend(4))
    lots = (await api.account("user-2"))["lots"]
    assert [lot["free"] for lot in lots if lot["source"] == "promotional"] == [6]
    assert await differences(database) == []


async def test_packs_of_one_instant_burn_in_turn_through_two_merges(acts, api, database) -> None:
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.put("/api/v1/accounts/user-2", {"stripe_customer_id": "cus_2"})
    await api.put("/api/v1/accounts/user-3", {})
    for number in (1, 2):
        bought = {"session": f"cs_{number}", "intent": f"pi_{number}"}
        event = make_session_event(f"evt_{number}", NOW, customer=f"cus_{number}", **bought)
        assert await api.deliver(event) == "applied"
    assert (await merge(acts, "user-1", "user-2")).status_code == 200
    other, last = Acts(api, "user-2"), Acts(api, "user-3")
    await other.done(await other.spend(5 + 30))  # the day, then its own pack, which is the older
    assert (await merge(acts, "user-2", "user-3")).status_code == 200
    await last.done(await last.spend(10))
    lots = (await api.account("user-3"))["lots"]
    assert [lot["free"] for lot in lots if lot["source"] == "purchased"] == [60, 100]
    assert await differences(database) == []


async def test_a_hold_whose_deadline_the_merge_posts_is_over(acts, api, database) -> None:
    await api.put("/api/v1/accounts/user-2", {})
    hold_id = await acts.held(3, 60)
    await api.set_clock(NOW + timedelta(minutes=5), tick=False)
    answer = await merge(acts, "user-1", "user-2")
    assert (answer.status_code, answer.json()["held"]) == (200, 0)
    assert await database.fetchval("SELECT state FROM holds") == "expired"
    told = (await api.get(f"/api/v1/holds/{hold_id}")).json()
    assert (told["state"], told["account_id"]) == ("expired", "user-2")
    assert await differences(database) == []
