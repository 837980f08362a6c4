"""Settling what a job really cost: above its hold, after its deadline, nothing at all, or later."""

from __future__ import annotations

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
    assert code(await pro.capture(expired, 0, over="available")) == (409, "hold_expired")
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


async def test_an_expired_hold_is_not_settled_of_nothing(pro, api, database) -> None:
    hold_id = await pro.held(5, 60)
    await api.set_clock(NOW + timedelta(minutes=5))
    await pro.done(await pro.spend(20))
    assert code(await pro.capture(hold_id, 5, over="available")) == (409, "hold_expired")
    assert await differences(database) == []
