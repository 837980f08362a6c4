"""Closed and suspended accounts: what goes on, what does not, and how either ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from app.jobs.tick import tick
from tests.acts import DAY, HOUR, Acts, subscribe
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_events import make_subscription_event

SECOND = timedelta(seconds=1)


@pytest.fixture
async def acts(api) -> Acts:
    """user-1, FREE, with a customer of his own: cus_1."""
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    return Acts(api)


async def act(acts: Acts, what: str, reason: str | None = "asked for") -> dict[str, Any]:
    body = None if reason is None else {"reason": reason}
    path = f"accounts/{acts.account_id}/{what}"
    return await acts.done(await acts.post(path, body, scope="operator"))


async def test_who_subscribes_again_has_his_account_back(acts, database) -> None:
    closed = await act(acts, "close")
    assert (closed["closed_at"], closed["still_billed"]) == ("2026-01-01T12:00:00.000000Z", [])
    await acts.api.set_clock(NOW + 3 * DAY)
    assert await acts.available() == 0
    again = make_subscription_event("evt_1", "created", NOW + 2 * DAY)
    assert await acts.api.deliver(again) == "applied"
    account = await acts.api.account("user-1")
    assert (account["closed_at"], account["tier"], account["available"]) == (None, "PRO", 20)
    assert account["next_grant_at"] == "2026-01-05T00:00:00.000000Z"
    await acts.api.set_clock(NOW + 4 * DAY)
    assert await acts.available() == 20
    assert await differences(database) == []


async def test_what_was_bought_before_opens_nothing(acts, database) -> None:
    """Also if it is told of later, or goes on being paid; an attempt that is not paid neither."""
    old = NOW - DAY
    created = {"created": int(old.timestamp())}
    await acts.api.deliver(make_subscription_event("evt_1", "created", old, **created))
    closed = await act(acts, "close")
    assert closed["still_billed"] == ["sub_1"]
    await acts.api.set_clock(NOW + 2 * DAY)
    renewed = make_subscription_event("evt_2", "updated", NOW + DAY, previous={}, **created)
    other = {"subscription": "sub_2", "created": int((NOW - HOUR).timestamp())}
    late = make_subscription_event("evt_3", "updated", NOW + DAY, previous={}, **other)
    unpaid = make_subscription_event(
        "evt_4", "created", NOW + DAY, status="incomplete", subscription="sub_3"
    )
    for event in (renewed, late, unpaid):
        assert await acts.api.deliver(event) == "applied"
    account = await acts.api.account("user-1")
    assert (account["closed_at"] is None, account["available"]) == (False, 0)
    paid = make_subscription_event(
        "evt_5",
        "updated",
        NOW + DAY + SECOND,
        subscription="sub_3",
        previous={},
        created=int((NOW + DAY).timestamp()),
    )
    await acts.api.deliver(paid)
    assert (await acts.api.account("user-1"))["closed_at"] is None
    assert await differences(database) == []


async def test_a_pack_that_its_owner_buys_opens_it_and_a_gift_does_not(acts, database) -> None:
    await act(acts, "close")
    await acts.api.set_clock(NOW + DAY)
    gift = make_session_event(
        "evt_1", NOW + HOUR, session="cs_1", intent="pi_1", customer="cus_9", reference="user-1"
    )
    before = make_session_event(
        "evt_2", NOW + HOUR, session="cs_2", intent="pi_2", created=int((NOW - HOUR).timestamp())
    )
    for event in (gift, before):
        assert await acts.api.deliver(event) == "applied"
    account = await acts.api.account("user-1")
    assert (account["available"], account["closed_at"] is None) == (200, False)
    own = make_session_event("evt_3", NOW + 2 * HOUR, session="cs_3", intent="pi_3")
    assert await acts.api.deliver(own) == "applied"
    account = await acts.api.account("user-1")
    assert (account["available"], account["closed_at"]) == (305, None)
    assert await differences(database) == []


async def test_a_subscription_that_a_browser_gave_opens_no_closed_account(acts, database) -> None:
    await act(acts, "close")
    begun = make_subscription_event(
        "evt_1", "created", NOW + HOUR, subscription="sub_9", customer="cus_9"
    )
    given = make_session_event(
        "evt_2",
        NOW + HOUR,
        mode="subscription",
        customer="cus_9",
        reference="user-1",
        subscription="sub_9",
        metadata={},
        intent=None,
    )
    for event in (begun, given):
        assert await acts.api.deliver(event) == "applied"
    account = await acts.api.account("user-1")
    assert [one["id"] for one in account["subscriptions"]] == ["sub_9"]
    assert (account["closed_at"] is None, account["next_grant_at"]) == (False, None)
    assert await differences(database) == []


async def test_an_operator_opens_a_closed_account_within_its_day_and_later(acts, database) -> None:
    await acts.spend(2)
    await act(acts, "close")
    account = await act(acts, "reopen")
    assert (account["closed_at"], account["available"]) == (None, 3)
    await act(acts, "close")
    await acts.api.set_clock(NOW + 9 * DAY)
    account = await act(acts, "reopen")
    assert (account["available"], account["next_grant_at"]) == (5, "2026-01-11T00:00:00.000000Z")
    again = await act(acts, "reopen")
    assert again == account
    told = await database.fetch("SELECT act FROM operator_acts ORDER BY id")
    assert [row["act"] for row in told] == ["close", "reopen", "close", "reopen"]
    assert await differences(database) == []


async def test_no_date_is_opened_twice_though_the_zone_was_changed_while_it_was_closed(
    acts, database
) -> None:
    path = "/api/v1/accounts/user-1"
    await acts.api.put(path, {"time_zone": "Pacific/Kiritimati"})
    await acts.api.set_clock(NOW + DAY)  # 2026-01-03 there
    await acts.spend(2)
    await act(acts, "close")
    await acts.api.set_clock(NOW + DAY + 22 * HOUR + 30 * 60 * SECOND)  # its day has ended
    await acts.api.put(path, {"time_zone": "Pacific/Pago_Pago"})  # 2026-01-02 there
    account = await act(acts, "reopen")
    # The third goes on until the fourth begins in the new zone; 2 of its 5 are used.
    assert (account["available"], account["next_grant_at"]) == (3, "2026-01-04T11:00:00.000000Z")
    assert await differences(database) == []
    await acts.api.set_clock(NOW + 3 * DAY)
    assert await acts.available() == 5
    assert await differences(database) == []


async def test_a_suspended_account_spends_nothing_and_loses_nothing(acts, database) -> None:
    await acts.grant(30)
    held = [await acts.held(2), await acts.held(3)]
    account = await act(acts, "suspend")
    assert (account["available"], account["free"], account["next_grant_at"]) == (0, 30, None)
    assert account["suspended_at"] == "2026-01-01T12:00:00.000000Z"
    for refused in (await acts.spend(1), await acts.hold(1)):
        assert (refused.status_code, refused.json()["code"]) == (409, "account_suspended")
    # What is under way goes on, and what is bought comes.
    captured = await acts.done(await acts.capture(held[0], 1))
    assert captured["state"] == "captured"
    await acts.done(await acts.release(held[1]))
    await acts.api.deliver(make_session_event("evt_1", NOW))
    assert (await acts.api.account("user-1"))["available"] == 0
    account = await act(acts, "resume")
    assert (account["suspended_at"], account["available"]) == (None, 4 + 30 + 100)
    assert (await acts.spend(134)).status_code == 201
    assert await differences(database) == []


async def test_a_suspended_account_opens_no_day_until_it_is_resumed(acts, database, book) -> None:
    await subscribe(acts, "PRO")
    await acts.spend(4)
    await acts.grant(7, ends=NOW + 2 * DAY)
    await act(acts, "suspend")
    for day in range(1, 5):
        await acts.api.set_clock(NOW + day * DAY)
        assert await acts.available() == 0
        assert (await acts.spend(1)).status_code == 409
    assert await database.fetchval("SELECT count(*) FROM daily_grants") == 1
    runs = (await acts.api.get("/api/v1/runs")).json()["data"]
    assert {(run["expected"], run["skipped"]) for run in runs} <= {(0, 0)}
    await apply_tiers(book, default_text())  # wakes those who are dormant
    await tick(book)
    assert await database.fetchval("SELECT count(*) FROM daily_grants") == 1
    account = await act(acts, "resume")
    assert (account["available"], account["free"]) == (20, 20)
    opened = await database.fetchrow("SELECT * FROM daily_grants ORDER BY day_on DESC LIMIT 1")
    assert (str(opened["day_on"]), opened["run_id"], opened["after_dormancy"]) == (
        "2026-01-05",
        None,
        True,
    )
    await acts.api.set_clock(NOW + 5 * DAY)
    assert (await acts.api.account("user-1"))["free"] == 20
    assert await differences(database) == []


async def test_a_purchase_opens_no_suspended_account(acts) -> None:
    await act(acts, "suspend")
    await acts.api.deliver(make_subscription_event("evt_1", "created", NOW + HOUR))
    account = await acts.api.account("user-1")
    assert (account["tier"], account["available"]) == ("PRO", 0)
    assert account["suspended_at"] is not None
    assert (await act(acts, "resume"))["available"] == 20


async def test_each_act_takes_a_reason_and_an_account(acts) -> None:
    for what in ("reopen", "suspend", "resume"):
        unreasoned = await acts.post(f"accounts/user-1/{what}", {}, scope="operator")
        assert unreasoned.status_code == 400
        unknown = await acts.post(f"accounts/nobody/{what}", {"reason": "x"}, scope="operator")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "account_unknown")
        assert (await acts.post(f"accounts/user-1/{what}", {"reason": "x"})).status_code == 403
