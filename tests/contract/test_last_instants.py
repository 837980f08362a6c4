"""The last instants of the calendar are instants: `9999-12-31T23:59:59Z` bounds nothing."""

from __future__ import annotations

import pytest

from tests.api_client import Api
from tests.contract.test_routes import is_problem

ACCOUNT = "/api/v1/accounts/user-1"
LAST = ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-14:00", "9996-02-29T00:00:00+14:00")


@pytest.fixture(autouse=True)
async def account(api: Api) -> None:
    await api.put(ACCOUNT, {})


@pytest.mark.parametrize("last", LAST)
async def test_a_list_up_to_the_last_instant_is_the_whole_list(api: Api, last: str) -> None:
    whole = (await api.get("/api/v1/ledger/entries")).json()["data"]
    bounded = await api.get("/api/v1/ledger/entries", recorded_to=last, effective_to=last)
    assert bounded.status_code == 200, bounded.text
    assert bounded.json()["data"] == whole != []


@pytest.mark.parametrize("last", LAST)
async def test_a_balance_as_of_then_is_beyond_what_is_complete(api: Api, last: str) -> None:
    assert is_problem(await api.get(f"{ACCOUNT}/balance", as_of=last), 422, "beyond_horizon")


@pytest.mark.parametrize("last", LAST[:2])
async def test_a_grant_until_then_never_ends(api: Api, last: str) -> None:
    answer = await api.client.post(
        f"{ACCOUNT}/grants",
        json={"amount": 1, "reason": "a gift", "expires_at": last},
        headers=api.headers("operator", **{"Idempotency-Key": "k"}),
    )
    assert answer.status_code == 201, answer.text
    lots = (await api.account("user-1"))["lots"]
    assert [lot["expires_at"] for lot in lots if lot["source"] == "promotional"] == [None]


async def test_a_grant_may_end_in_the_last_year_but_one(api: Api) -> None:
    answer = await api.client.post(
        f"{ACCOUNT}/grants",
        json={"amount": 1, "reason": "a gift", "expires_at": "9998-12-31T23:59:59Z"},
        headers=api.headers("operator", **{"Idempotency-Key": "k"}),
    )
    assert answer.status_code == 201, answer.text
    lots = (await api.account("user-1"))["lots"]
    assert "9998-12-31T23:59:59.000000Z" in [lot["expires_at"] for lot in lots]


async def test_the_clock_is_not_set_to_when_there_is_no_next_day(api: Api) -> None:
    answer = await api.put("/api/v1/dev/clock", {"now": LAST[0]}, "operator")
    assert is_problem(answer, 422, "refused")
    assert (await api.account("user-1"))["available"] == 5
