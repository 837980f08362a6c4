"""Settling what a job really cost: above its hold, after its deadline, nothing at all, or later."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.acts import DAY, Acts, subscribe
from tests.conftest import NOW
from tests.invariants import differences


@pytest.fixture
async def pro(api) -> Acts:
    """A PRO account, user-1, with 20 credits a day."""
    acts = Acts(api)
    await subscribe(acts, "PRO")
    return acts


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_capture_tells_its_spend_and_what_is_left(pro, database) -> None:
    hold_id = await pro.held(12)
    told = (await pro.capture(hold_id, 5)).json()
    assert (told["captured"], told["uncovered"], told["balance"], told["available"]) == (
        5,
        0,
        15,
        15,
    )
    entries = await pro.journal_entries(told["spend_id"])
    assert entries == [("spend", "held", "spent", 5), ("release", "held", "free", 7)]
    assert await differences(database) == []


async def test_a_capture_above_the_hold_is_refused_unless_it_may_take_what_is_available(
    pro, database
) -> None:
    hold_id = await pro.held(5)
    assert code(await pro.capture(hold_id, 8)) == (422, "refused")
    told = (await pro.capture(hold_id, 8, over="available")).json()
    assert (told["captured"], told["uncovered"], told["available"]) == (8, 0, 12)
    assert (told["state"], await pro.sides()) == ("captured", (12, 0, 0))
    assert code(await pro.capture(hold_id, 1, over="available")) == (409, "hold_closed")
    assert await differences(database) == []


async def test_what_is_not_there_stays_uncovered_and_the_balance_stands_at_zero(
    pro, database
) -> None:
    hold_id = await pro.held(5)
    await pro.done(await pro.spend(13))
    told = (await pro.capture(hold_id, 10, over="available")).json()
    assert (told["captured"], told["uncovered"], told["balance"]) == (7, 3, 0)
    assert await differences(database) == []


async def test_after_its_deadline_a_hold_is_settled_of_what_is_available(
    pro, api, database
) -> None:
    hold_id = await pro.held(5, 60)
    await api.set_clock(NOW + timedelta(minutes=5))
    assert code(await pro.capture(hold_id, 5)) == (409, "hold_expired")
    told = (await pro.capture(hold_id, 5, over="available")).json()
    assert (told["state"], told["captured"], told["available"]) == ("captured", 5, 15)
    assert (await api.get(f"/api/v1/holds/{hold_id}")).json()["state"] == "captured"
    assert code(await pro.capture(hold_id, 5, over="available")) == (409, "hold_closed")
    late = await pro.held(5, 60)
    await api.set_clock(NOW + timedelta(minutes=10), tick=False)  # its expiry is not posted yet
    told = (await pro.capture(late, 3, over="available")).json()
    assert (told["state"], told["captured"], told["available"]) == ("captured", 3, 12)
    assert await differences(database) == []


async def test_a_released_hold_stays_closed(pro, database) -> None:
    hold_id = await pro.held(5)
    await pro.release(hold_id)
    assert code(await pro.capture(hold_id, 5, over="available")) == (409, "hold_closed")
    assert await differences(database) == []


async def test_a_job_that_cost_nothing_releases_its_hold(pro, api, database) -> None:
    hold_id = await pro.held(5)
    told = (await pro.capture(hold_id, 0)).json()
    assert (told["state"], told["spend_id"], told["available"]) == ("released", None, 20)
    expired = await pro.held(5, 60)
    await api.set_clock(NOW + timedelta(minutes=5))
    assert code(await pro.capture(expired, 0)) == (409, "hold_expired")
    told = (await pro.capture(expired, 0, over="available")).json()
    assert (told["state"], told["spend_id"], told["uncovered"]) == ("expired", None, 0)
    assert await differences(database) == []


async def test_a_suspended_accounts_job_is_settled_by_its_hold_alone(pro, database) -> None:
    hold_id = await pro.held(5)
    body = {"reason": "of the test"}
    await pro.done(await pro.post("accounts/user-1/suspend", body, scope="operator"))
    told = (await pro.capture(hold_id, 8, over="available")).json()
    assert (told["captured"], told["uncovered"]) == (5, 3)
    assert await differences(database) == []


async def test_a_long_job_extends_its_hold_for_seven_days_at_most(pro, api, database) -> None:
    hold_id = await pro.held(5, 600)
    await api.set_clock(NOW + timedelta(minutes=5))
    told = await pro.extend(hold_id, 3_600, key="tick-1")
    assert told.json()["expires_at"] == "2026-01-01T13:05:00.000000Z"
    again = await pro.extend(hold_id, 3_600, key="tick-1")
    assert (again.json(), again.headers["idempotency-replayed"]) == (told.json(), "true")
    await api.set_clock(NOW + timedelta(minutes=30))
    assert (await pro.capture(hold_id, 5)).status_code == 200
    assert code(await pro.extend(hold_id, 600)) == (409, "hold_closed")
    long = await pro.held(5, 86_400)
    for day in range(1, 7):
        await api.set_clock(NOW + day * DAY + timedelta(minutes=25 - day))
        assert (await pro.extend(long, 86_400)).status_code == 200
    await api.set_clock(NOW + 7 * DAY)
    assert code(await pro.extend(long, 86_400)) == (422, "hold_too_long")
    assert (await pro.extend(long, 600)).status_code == 200
    await api.set_clock(NOW + 8 * DAY)
    assert code(await pro.extend(long, 60)) == (409, "hold_expired")
    assert await differences(database) == []


async def test_what_was_captured_above_a_hold_can_be_returned(pro, database) -> None:
    hold_id = await pro.held(5)
    told = (await pro.capture(hold_id, 8, over="available")).json()
    back = await pro.done(await pro.give_back(hold_id=hold_id))
    assert (back["amount"], back["spend_ids"], back["available"]) == (8, [told["spend_id"]], 20)
    assert await differences(database) == []


async def test_an_accounts_holds_are_listed_by_the_state_that_they_have_now(
    pro, api, database
) -> None:
    taken, released, expired = [await pro.held(1, 600 if n < 2 else 60) for n in range(3)]
    await pro.capture(taken, 1)
    await pro.release(released)
    open_ones = [await pro.held(1) for _ in range(2)]
    await api.set_clock(NOW + timedelta(minutes=2), tick=False)
    path = "/api/v1/accounts/user-1/holds"

    async def seen(**query: object) -> list[str]:
        return [one["id"] for one in (await api.get(path, **query)).json()["data"]]

    assert await seen() == [*reversed(open_ones), expired, released, taken]
    assert await seen(state="held") == list(reversed(open_ones))
    assert await seen(state="expired") == [expired]
    first = (await api.get(path, limit=2)).json()
    rest = (await api.get(path, limit=3, cursor=first["next_cursor"])).json()
    assert [one["id"] for one in rest["data"]] == [expired, released, taken]
    assert rest["next_cursor"] is None
    assert (await api.get("/api/v1/accounts/nobody/holds")).status_code == 404
    assert await differences(database) == []


async def test_a_late_capture_that_finds_nothing_says_that_all_is_uncovered(
    pro, api, database
) -> None:
    """It spends nothing; what becomes available later can still be taken, under another key."""
    hold_id = await pro.held(5, 60)
    await api.set_clock(NOW + timedelta(minutes=5))
    await pro.done(await pro.spend(20))
    told = await pro.capture(hold_id, 5, over="available", key="late")
    assert told.status_code == 200
    body = told.json()
    assert (body["captured"], body["uncovered"], body["spend_id"]) == (0, 5, None)
    assert (body["state"], body["available"]) == ("expired", 0)
    await pro.done(await pro.grant(3))
    again = await pro.capture(hold_id, 5, over="available", key="late")
    assert (again.json(), again.headers["idempotency-replayed"]) == (body, "true")
    told = (await pro.capture(hold_id, 5, over="available")).json()
    assert (told["captured"], told["uncovered"], told["state"]) == (3, 2, "captured")
    assert await differences(database) == []


async def test_a_used_up_hold_whose_last_capture_finds_nothing_is_over(pro, database) -> None:
    hold_id = await pro.held(5)
    await pro.done(await pro.spend(15))
    assert (await pro.capture(hold_id, 5, final=False)).status_code == 200
    told = (await pro.capture(hold_id, 2, final=False, over="available")).json()
    assert (told["captured"], told["uncovered"], told["spend_id"]) == (5, 2, None)
    told = (await pro.capture(hold_id, 2, over="available")).json()
    assert (told["captured"], told["uncovered"], told["state"]) == (5, 2, "captured")
    assert code(await pro.capture(hold_id, 2, over="available")) == (409, "hold_closed")
    assert await differences(database) == []


async def test_a_job_is_captured_in_parts_and_its_last_one_ends_the_hold(
    pro, api, database
) -> None:
    hold_id = await pro.held(10)
    for n, left in ((3, 7), (2, 5)):
        told = (await pro.capture(hold_id, n, final=False)).json()
        assert (told["state"], told["uncovered"]) == ("held", 0)
        assert await pro.sides() == (10, left, 0)
    assert told["captured"] == 5
    assert (await api.get(f"/api/v1/holds/{hold_id}")).json()["state"] == "held"
    assert code(await pro.capture(hold_id, 6, final=False)) == (422, "refused")
    assert code(await pro.capture(hold_id, 0, final=False)) == (422, "refused")
    assert await differences(database) == []
    told = (await pro.capture(hold_id, 1)).json()
    assert (told["captured"], told["state"], told["available"]) == (6, "captured", 14)
    assert code(await pro.capture(hold_id, 1, final=False, over="debt")) == (409, "hold_closed")
    back = await pro.done(await pro.give_back(hold_id=hold_id))
    assert (back["amount"], len(back["spend_ids"]), back["available"]) == (6, 3, 20)
    assert await differences(database) == []


@pytest.mark.parametrize("how", ["released", "expired", "nothing more"])
async def test_what_is_left_after_parts_comes_back_and_the_hold_is_captured(
    pro, api, database, how
) -> None:
    hold_id = await pro.held(10, 60)
    await pro.capture(hold_id, 4, final=False)
    if how == "released":
        told = (await pro.release(hold_id)).json()
    elif how == "expired":
        await api.set_clock(NOW + timedelta(minutes=5))
        told = (await api.get(f"/api/v1/holds/{hold_id}")).json()
    else:
        told = (await pro.capture(hold_id, 0)).json()
        assert told["spend_id"] is None
    assert (told["state"], told["captured"]) == ("captured", 4)
    assert await pro.sides() == (16, 0, 0)
    expected = (409, "hold_expired" if how == "expired" else "hold_closed")
    assert code(await pro.capture(hold_id, 1)) == expected
    assert await differences(database) == []


async def test_a_hold_that_is_used_up_goes_on_until_its_last_capture(pro, api, database) -> None:
    hold_id = await pro.held(4)
    told = (await pro.capture(hold_id, 4, final=False)).json()
    assert (told["captured"], await pro.sides()) == (4, (16, 0, 0))
    assert code(await pro.capture(hold_id, 1)) == (422, "refused")
    told = (await pro.capture(hold_id, 3, final=False, over="available")).json()
    assert (told["captured"], told["available"]) == (7, 13)
    assert (await pro.capture(hold_id, 0)).json()["spend_id"] is None  # there is nothing to release
    assert code(await pro.capture(hold_id, 2, over="available")) == (409, "hold_closed")
    late = await pro.held(4, 60)
    await api.set_clock(NOW + timedelta(minutes=5))
    for n in (1, 2):
        told = (await pro.capture(late, 1, final=False, over="available")).json()
        assert (told["captured"], told["state"]) == (n, "captured")
    assert (await pro.capture(late, 1, over="available")).json()["captured"] == 3
    assert code(await pro.capture(late, 1, over="available")) == (409, "hold_closed")
    assert await differences(database) == []


async def test_two_last_captures_of_an_expired_hold_at_once_are_one(pro, api, database) -> None:
    hold_id = await pro.held(4, 60)
    await api.set_clock(NOW + timedelta(minutes=5))
    answers = await asyncio.gather(
        *(pro.capture(hold_id, 3, over="available", key=f"at-once-{n}") for n in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    assert await pro.sides() == (17, 0, 0)
    assert await differences(database) == []


async def test_what_a_job_cost_more_is_owed_where_that_is_asked_for(pro, api, database) -> None:
    hold_id = await pro.held(15)
    told = (await pro.capture(hold_id, 32, over="debt")).json()
    assert (told["captured"], told["uncovered"], told["balance"]) == (32, 0, -12)
    assert await pro.sides() == (0, 0, 12)
    assert await pro.journal_entries(told["spend_id"]) == [
        ("spend", "held", "spent", 15),
        ("spend", "free", "spent", 5),
        ("spend", "debt", "spent", 12),
    ]
    assert code(await pro.spend(1)) == (402, "insufficient_credits")
    assert await differences(database) == []
    await api.set_clock(NOW + DAY)
    assert await pro.sides() == (8, 0, 0)  # the next day's 20 repaid it first
    assert await differences(database) == []


async def test_debt_has_its_maximum(pro, api, database) -> None:
    hold_id = await pro.held(20)
    refused = await pro.capture(hold_id, 10_021, over="debt")
    assert code(refused) == (402, "insufficient_credits")
    told = refused.json()
    assert (told["available"], told["required"]) == (20, 10_021)
    assert await pro.sides() == (0, 20, 0)
    await pro.done(await pro.capture(hold_id, 10_020, over="debt"))
    assert await pro.sides() == (0, 0, 10_000)
    assert await differences(database) == []


async def test_a_suspended_account_takes_on_no_debt(pro, database) -> None:
    hold_id = await pro.held(5)
    body = {"reason": "of the test"}
    await pro.done(await pro.post("accounts/user-1/suspend", body, scope="operator"))
    assert code(await pro.capture(hold_id, 8, over="debt")) == (409, "account_suspended")
    assert (await pro.capture(hold_id, 5, over="debt")).status_code == 200
    assert await differences(database) == []


async def test_debt_that_stands_is_what_comes_back_first(pro, database) -> None:
    hold_id = await pro.held(15)
    spend = (await pro.capture(hold_id, 32, over="debt")).json()["spend_id"]
    told = await pro.done(await pro.give_back(8, spend_id=spend))
    assert (told["returned"], told["balance"], await pro.sides()) == (8, -4, (0, 0, 4))
    told = await pro.done(await pro.give_back(6, spend_id=spend))
    assert (told["returned"], await pro.sides()) == (14, (2, 0, 0))
    told = await pro.done(await pro.give_back(spend_id=spend))
    assert (told["returned"], await pro.sides()) == (32, (20, 0, 0))
    assert code(await pro.give_back(1, spend_id=spend)) == (409, "return_exceeds_spend")
    assert await differences(database) == []


async def test_debt_that_was_repaid_comes_back_to_what_repaid_it(pro, api, database) -> None:
    hold_id = await pro.held(20)
    spend = (await pro.capture(hold_id, 31, over="debt")).json()["spend_id"]
    await pro.done(await pro.grant(4, ends=NOW + 30 * DAY))
    assert await pro.sides() == (0, 0, 7)
    await api.set_clock(NOW + DAY)
    assert await pro.sides() == (13, 0, 0)
    told = await pro.done(await pro.give_back(9, spend_id=spend))
    # The day's 7 come back to it, and 2 of the gift's 4.
    assert (told["amount"], await pro.sides()) == (9, (22, 0, 0))
    lots = {lot["source"]: lot["free"] for lot in (await api.account("user-1"))["lots"]}
    assert lots == {"daily": 20, "promotional": 2}
    assert await differences(database) == []
    told = await pro.done(await pro.give_back(spend_id=spend))
    # The other 2, and of yesterday's 20 nothing that could be spent today.
    assert (told["returned"], await pro.sides()) == (31, (24, 0, 0))
    assert await differences(database) == []


async def test_a_reversed_capture_is_owed_no_more(pro, api, database) -> None:
    hold_id = await pro.held(20)
    spend = (await pro.capture(hold_id, 31, over="debt")).json()["spend_id"]
    await api.set_clock(NOW + DAY)
    assert await pro.sides() == (9, 0, 0)
    await pro.done(await pro.reverse(spend))
    assert await pro.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_what_a_merged_account_owed_comes_back_where_it_was_repaid(
    pro, api, database
) -> None:
    hold_id = await pro.held(20)
    spend = (await pro.capture(hold_id, 31, over="debt")).json()["spend_id"]
    other = Acts(api, "user-2")
    await api.put("/api/v1/accounts/user-2", {})
    await other.done(await other.grant(50))
    body = {"into": "user-2", "reason": "one person"}
    await pro.done(await pro.post("accounts/user-1/merge", body, scope="operator"))
    owed = await other.sides()
    assert owed[2] == 0
    told = await other.done(await other.give_back(11, spend_id=spend))
    assert (told["amount"], told["balance"]) == (11, owed[0] + 11)
    assert await differences(database) == []
