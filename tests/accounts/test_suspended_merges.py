"""Merges of accounts that are suspended, whose day waits past its end."""

from __future__ import annotations

import pytest

from app.allowance.catalogue import default_text
from tests.acts import DAY, Acts, ledger_differences
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences

CARRY = default_text().replace(
    "[tiers.FREE]\ndaily_credits = 5", "[tiers.FREE]\ncarry_over_max = 20\ndaily_credits = 5"
)


@pytest.fixture(params=[False, True])
def carrying(request) -> bool:
    """Whether 20 may be carried over."""
    return bool(request.param)


@pytest.fixture
async def both(api, book, carrying) -> tuple[Acts, Acts]:
    """user-1 with a gift of 10, and user-2; user-1 has spent 2 of the day."""
    if carrying:
        await apply_tiers(book, CARRY)
    one, other = Acts(api, "user-1"), Acts(api, "user-2")
    for acts in (one, other):
        await api.put(f"/api/v1/accounts/{acts.account_id}", {})
    await one.done(await one.grant(10))
    await one.done(await one.spend(2))
    return one, other


async def act(acts: Acts, what: str, **more: str) -> None:
    body = {"reason": "of the test", **more}
    done = await acts.post(f"accounts/{acts.account_id}/{what}", body, scope="operator")
    assert done.status_code == 200, done.text


# What user-2 has at once, and a day later: its own days, and the gift.
ENDS = {
    (False, 0): (13, 15),  # two days are no two allowances: 2 of today's were used
    (False, 1): (15, 15),
    (False, 3): (15, 15),
    (True, 0): (13, 18),
    (True, 1): (20, 25),
    (True, 3): (30, 35),
}

RESUMED = {
    (False, 0): 12,
    (False, 1): 14,
    (False, 3): 14,
    (True, 0): 12,
    (True, 1): 22,
    (True, 3): 32,
}


@pytest.mark.parametrize("days", [0, 1, 3])
@pytest.mark.parametrize("holds", [False, True])
async def test_a_suspended_account_is_merged_into_an_open_one(
    both, api, database, carrying, days, holds
) -> None:
    one, other = both
    hold = await one.held(2, 86_400) if holds else ""
    await act(one, "suspend")
    if days:
        await api.set_clock(NOW + days * DAY)
    await act(one, "merge", into="user-2")
    if holds and not days:
        await other.done(await other.release(hold))
    at_once = await other.available()
    assert await differences(database) == []
    await api.set_clock(NOW + (days + 1) * DAY)
    assert (at_once, await other.available()) == ENDS[carrying, days]
    assert await differences(database) == []


@pytest.mark.parametrize("days", [0, 1, 3])
async def test_an_open_account_is_merged_into_a_suspended_one(
    both, api, database, carrying, days
) -> None:
    """Nothing can be spent until it is resumed; then it has its day, and what it had left."""
    one, other = both
    await act(other, "suspend")
    if days:
        await api.set_clock(NOW + days * DAY)
    await one.done(await one.spend(1))
    await act(one, "merge", into="user-2")
    assert (await other.available(), (await other.spend(1)).status_code) == (0, 409)
    assert await ledger_differences(database) == []
    await act(other, "resume")
    assert await other.available() == RESUMED[carrying, days]
    assert await differences(database) == []
