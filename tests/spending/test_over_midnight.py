"""Credits that come back after a midnight go where they would have gone without it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.allowance.catalogue import default_text
from app.runs.run import run_due
from tests.acts import DAY, HOUR, Acts, ledger_differences
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

LATE = NOW + timedelta(hours=11, minutes=50)
EARLY = NOW + timedelta(hours=12, minutes=10)
CARRY = default_text().replace(
    "[tiers.FREE]\ndaily_credits = 5", "[tiers.FREE]\ncarry_over_max = 20\ndaily_credits = 5"
)


@pytest.fixture
async def acts(api, book) -> Acts:
    """user-1, on FREE with 5 a day, of which 20 may be carried over; ten to midnight."""
    await apply_tiers(book, CARRY)
    await api.put("/api/v1/accounts/user-1", {})
    await api.set_clock(LATE)
    return Acts(api)


async def lots(acts: Acts) -> dict[str, int]:
    account = await acts.api.account(acts.account_id)
    return {lot["source"]: lot["free"] for lot in account["lots"] if lot["free"]}


@pytest.mark.parametrize("ticked", [True, False])
async def test_a_job_that_failed_after_midnight_costs_nothing_of_what_is_carried(
    acts, database, ticked
) -> None:
    hold_id = await acts.held(5, 1800)
    await acts.api.set_clock(EARLY, tick=ticked)
    assert await acts.available() == 5
    await acts.release(hold_id)
    assert await lots(acts) == {"carried": 5, "daily": 5}
    assert await acts.sides() == (10, 0, 0)
    assert await ledger_differences(database) == []


@pytest.mark.parametrize("ticked", [True, False])
async def test_nor_does_one_that_let_its_deadline_pass(acts, database, ticked) -> None:
    await acts.held(5, 900)
    await acts.api.set_clock(EARLY, tick=ticked)
    assert await acts.available() == 10
    await acts.spend(1)
    assert await lots(acts) == {"carried": 4, "daily": 5}
    assert await ledger_differences(database) == []


async def test_what_a_capture_leaves_goes_on_as_well(acts, database) -> None:
    hold_id = await acts.held(5, 1800)
    await acts.api.set_clock(EARLY)
    await acts.capture(hold_id, 2)
    assert await lots(acts) == {"carried": 3, "daily": 5}
    assert await ledger_differences(database) == []


async def test_so_does_a_spend_that_is_reversed(acts, database) -> None:
    spent = await acts.journal(await acts.spend(4))
    await acts.api.set_clock(EARLY)
    assert await lots(acts) == {"carried": 1, "daily": 5}
    answer = (await acts.reverse(spent)).json()
    assert (answer["requested"], answer["expired"], answer["carried"]) == (4, 0, 4)
    assert (await acts.reverse(spent)).json() == answer
    found = await acts.api.get(f"/api/v1/reversals/{answer['id']}", scope="operator")
    assert found.json()["carried"] == 4
    assert await lots(acts) == {"carried": 5, "daily": 5}
    assert await ledger_differences(database) == []


async def test_days_later_each_midnight_has_its_say(acts, api, database) -> None:
    """20 may be carried; without the spend of 4 there would be 20 carried on the fifth day."""
    spent = await acts.journal(await acts.spend(4))
    for n in range(1, 5):
        await api.set_clock(NOW + n * DAY)
    assert await lots(acts) == {"carried": 16, "daily": 5}
    answer = (await acts.reverse(spent)).json()
    assert (answer["carried"], answer["expired"]) == (4, 0)
    assert await lots(acts) == {"carried": 20, "daily": 5}
    assert await ledger_differences(database) == []
    await api.set_clock(NOW + 5 * DAY)
    assert await lots(acts) == {"carried": 20, "daily": 5}


async def test_a_read_computes_what_a_release_would_post(acts, book, api) -> None:
    """The deadline falls into a gap of days that nobody opened."""
    await acts.held(3, 900)
    await api.set_clock(NOW + 3 * DAY, tick=False)
    assert await acts.available() == 10
    assert await acts.sides() == (2, 3, 0)
    await run_due(book.database, book.catalogues, "tick", 30)
    assert await acts.sides() == (10, 0, 0)
    assert await lots(acts) == {"carried": 5, "daily": 5}


async def test_what_was_carried_and_is_held_comes_back_to_its_day(acts, api, database) -> None:
    await api.set_clock(EARLY)
    hold_id = await acts.held(7, 86_400)
    await api.set_clock(EARLY + 13 * HOUR)
    assert await lots(acts) == {"daily": 3}
    await api.set_clock(EARLY + 23 * HOUR)
    await acts.spend(2)
    await api.set_clock(EARLY + 23 * HOUR + timedelta(minutes=59), tick=False)
    await acts.release(hold_id)
    assert await lots(acts) == {"carried": 8, "daily": 5}
    assert await ledger_differences(database) == []


async def test_a_closed_accounts_last_day_carries_nothing_on(acts, api, database) -> None:
    hold_id = await acts.held(5, 1800)
    await acts.post(f"accounts/{acts.account_id}/close", {"reason": "left"}, scope="operator")
    await api.set_clock(EARLY)
    await acts.release(hold_id)
    assert await acts.sides() == (0, 0, 0)
    assert await ledger_differences(database) == []


@pytest.mark.parametrize("ticked", [True, False])
async def test_what_two_joined_accounts_had_carried_goes_on_up_to_one_maximum(
    acts, api, database, ticked
) -> None:
    """Each had carried 10; of these and the day's 5 as many as 20 go on."""
    await api.deliver(make_subscription_event("evt_1", "created", LATE, status="incomplete"))
    await api.set_clock(NOW + 2 * DAY)
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    assert await lots(acts) == {"carried": 10, "daily": 5}
    assert await acts.sides() == (25, 0, 0)
    await api.set_clock(NOW + 3 * DAY, tick=ticked)
    assert await acts.available() == 25
    await acts.spend(1)
    assert await acts.sides() == (24, 0, 0)
    assert await ledger_differences(database) == []
