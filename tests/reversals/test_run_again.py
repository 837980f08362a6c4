"""A run that was taken back is run again on the same day, once, and yields no more than one day."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts.put import put
from app.book import Book
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.ledger.clawbacks import Policy
from app.reversals import run_again
from app.runs.run_row import runs_of
from tests.acts import DAY, Acts, ledger_differences, subscribe
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.reversals.test_run_bulk import Story, last_run, next_day, taken_back
from tests.stripe_events import make_subscription_event

TODAY = (NOW + DAY).date()


async def people(api, count: int) -> list[Acts]:
    """FREE accounts whose second day a run has opened."""
    accounts = [Acts(api, f"user-{n}") for n in range(count)]
    for one in accounts:
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await api.set_clock(NOW + DAY)
    return accounts


async def latest_run(api) -> dict[str, Any]:
    return dict((await api.get("/api/v1/runs", order="desc")).json()["data"][0])


async def reverse_run(api, acts: Acts, policy: str = "write_off") -> dict[str, Any]:
    body = {"run_id": (await latest_run(api))["id"], "reason": "wrong", "shortfall": policy}
    return await acts.done(await acts.post("reversals", body, scope="operator"))


async def again(api, on=TODAY):
    body = {"on": str(on), "again": True}
    return await api.client.post("/api/v1/runs", json=body, headers=api.headers("operator"))


async def test_a_run_is_taken_back_and_run_again(api, database) -> None:
    accounts = await people(api, 3)
    await reverse_run(api, accounts[0])
    assert [await one.available() for one in accounts] == [0, 0, 0]
    answer = await again(api)
    assert answer.status_code == 202
    (told,) = answer.json()["runs"]
    assert (told["opening"], told["state"], told["expected"], told["issued"]) == (2, "done", 3, 3)
    assert (told["issued_credits"], told["skipped"], told["failed"]) == (15, 0, 0)
    assert [await one.available() for one in accounts] == [5, 5, 5]
    rows = await database.fetch(
        "SELECT opening, credits FROM daily_grants WHERE day_on = $1", TODAY
    )
    assert sorted(tuple(row) for row in rows) == [(1, 5)] * 3 + [(2, 5)] * 3
    assert await differences(database) == []


@pytest.mark.parametrize("policy", ["write_off", "debt"])
async def test_what_was_spent_of_the_day_counts_and_its_shortfall_is_undone(
    api, database, policy
) -> None:
    (acts,) = await people(api, 1)
    await acts.spend(3)
    await reverse_run(api, acts, policy)
    assert await acts.sides() == (0, 0, 3 if policy == "debt" else 0)
    run_id = (await again(api)).json()["runs"][0]["id"]
    assert await acts.sides() == (2, 0, 0)
    entries = await acts.entries(run_id=run_id)
    undone = ("write_off", "issued", "written_off", 3)
    if policy == "debt":
        undone = ("reversal", "issued", "debt", 3)
    assert entries == [undone, ("grant", "issued", "free", 2)]
    balance = (await api.get("/api/v1/ledger/trial-balance")).json()["accounts"]
    assert all(line["balance"] == 0 for line in balance if line["account"] == "written_off")
    assert await differences(database) == []


async def test_what_was_spent_of_it_counts_on_that_day_alone(api, database) -> None:
    """Also if a change of zone ends the day earlier."""
    (acts,) = await people(api, 1)
    await acts.spend(3)
    await reverse_run(api, acts)
    await again(api)
    assert await acts.available() == 2
    await api.put("/api/v1/accounts/user-0", {"time_zone": "Asia/Tokyo"})
    assert await acts.available() == 2
    await api.set_clock((NOW + DAY).replace(hour=15))  # Tokyo's next date begins
    assert await acts.available() == 5
    assert await differences(database) == []


async def test_a_debt_that_was_paid_meanwhile_does_not_count_as_used(api, database) -> None:
    (acts,) = await people(api, 1)
    await acts.spend(5)
    await reverse_run(api, acts, "debt")
    await acts.grant(2)
    assert await acts.sides() == (0, 0, 3)
    await again(api)
    assert await acts.sides() == (2, 0, 0)
    assert await differences(database) == []


async def test_a_hold_that_outlives_the_reversal_gives_back_what_the_day_lent(
    api, database
) -> None:
    (acts,) = await people(api, 1)
    held = await acts.held(2)
    await reverse_run(api, acts)
    await again(api)
    assert await acts.sides() == (3, 2, 0)
    await acts.release(held)
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_a_spend_of_the_first_lot_reversed_after_the_second_opening_comes_back(
    api, database
) -> None:
    (acts,) = await people(api, 1)
    spent = await acts.journal(await acts.spend(4))
    await reverse_run(api, acts)
    await again(api)
    assert await acts.sides() == (1, 0, 0)
    await acts.reverse(spent)
    assert await acts.sides() == (5, 0, 0)
    await subscribe(acts, "PRO")
    assert await acts.available() == 20
    await api.set_clock(NOW + 2 * DAY)
    assert await acts.available() == 20
    assert await differences(database) == []


async def test_a_second_time_nothing_is_run_again(api, database) -> None:
    accounts = await people(api, 2)
    await reverse_run(api, accounts[0])
    first = await again(api)
    count = await database.fetchval("SELECT count(*) FROM entries")
    second = await again(api)
    assert (second.status_code, second.json()) == (202, first.json())
    assert await database.fetchval("SELECT count(*) FROM entries") == count


async def test_two_calls_at_once_open_each_day_once(api, database) -> None:
    accounts = await people(api, 6)
    await reverse_run(api, accounts[0])
    answers = await asyncio.gather(*(again(api) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert await database.fetchval("SELECT count(*) FROM daily_grants WHERE opening = 2") == 6
    (row,) = await runs_of(database, [await last_run(database)])
    assert (row["state"], row["issued"], row["skipped"]) == ("done", 6, 0)
    assert await differences(database) == []


async def test_a_run_that_was_run_again_is_taken_back_and_run_again(api, database) -> None:
    accounts = await people(api, 2)
    await accounts[0].spend(1)
    await reverse_run(api, accounts[0])
    await again(api)
    await accounts[0].spend(1)
    told = await reverse_run(api, accounts[0])
    assert (told["requested"], told["clawed"], told["shortfall"]) == (9, 8, 1)
    assert (await latest_run(api))["reversed_by"] == told["id"]
    (third,) = (await again(api)).json()["runs"]
    assert (third["opening"], third["issued_credits"]) == (3, 8)
    assert [await one.available() for one in accounts] == [3, 5]
    assert await differences(database) == []


async def test_what_was_not_taken_back_or_is_over_is_not_run_again(api) -> None:
    (acts,) = await people(api, 1)
    answer = await again(api)
    assert (answer.status_code, answer.json()["code"]) == (409, "run_not_reversed")
    await reverse_run(api, acts)
    await api.set_clock(NOW + 2 * DAY)
    answer = await again(api)
    assert (answer.status_code, answer.json()["code"]) == (422, "run_date")
    body = {"again": True}
    answer = await api.client.post("/api/v1/runs", json=body, headers=api.headers("operator"))
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")


async def test_whom_the_reversal_skipped_keeps_the_day_it_has(api, database) -> None:
    accounts = await people(api, 3)
    await accounts[1].spend(2)
    await reverse_run(api, accounts[0], "reject")
    (told,) = (await again(api)).json()["runs"]
    assert (told["expected"], told["issued"]) == (2, 2)
    assert [await one.available() for one in accounts] == [5, 3, 5]
    assert await differences(database) == []


async def test_it_grants_by_the_catalogue_that_is_in_force_now(api, database, book) -> None:
    (acts,) = await people(api, 1)
    await reverse_run(api, acts)
    text = await database.fetchval("SELECT content FROM catalogues ORDER BY id DESC LIMIT 1")
    number = await apply_tiers(
        book, text.replace("daily_credits = 5\n", "daily_credits = 7\n"), "t", "t"
    )
    (told,) = (await again(api)).json()["runs"]
    assert (told["catalogue"], told["issued_credits"]) == (number, 7)
    assert await acts.available() == 7
    assert await ledger_differences(database) == []


async def test_what_was_cut_off_is_gone_on_with_by_the_tick(api, database, book) -> None:
    accounts = await people(api, 5)
    await reverse_run(api, accounts[0])
    # No time at all: it is begun, and nobody goes on with it.
    begun = await run_again.run_again(book, TODAY, "tests", 0)
    assert not begun.done
    await tick(book)
    (row,) = await runs_of(database, begun.run_ids)
    assert (row["state"], row["issued"]) == ("done", 5)
    assert [await one.available() for one in accounts] == [5] * 5


async def test_who_is_joined_after_the_second_opening_brings_all_that_was_used(
    api, database
) -> None:
    event = make_subscription_event("evt_1", "created", NOW, customer="cus_1")
    await api.deliver(event)  # it opens an account under the customer's id
    (other,) = await people(api, 1)
    first = Acts(api, "cus_1")
    await first.done(await first.spend(15))
    await reverse_run(api, other)
    await again(api)
    await first.spend(2)
    assert await first.available() == 3
    tied = await api.put("/api/v1/accounts/user-0", {"stripe_customer_id": "cus_1"})
    assert tied.status_code == 200
    assert await other.available() == 3
    assert await differences(database) == []


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.integers(1, 6)),
        st.tuples(st.just("hold"), st.integers(1, 3)),
        st.tuples(st.just("gift"), st.integers(1, 4)),
    ),
    max_size=3,
)


@given(
    stories=st.lists(st.tuples(ACTS, ACTS), min_size=1, max_size=4),
    policy=st.sampled_from([Policy.WRITE_OFF, Policy.DEBT]),
)
@settings(max_examples=15)
async def test_a_day_taken_back_and_opened_again_yields_no_more_than_the_day(
    database: Database, stories: list[tuple[list[Any], list[Any]]], policy: Policy
) -> None:
    book = Book(database)
    await clock.stand(database, await clock.now(database) + timedelta(days=1))
    named = [
        f"again-{await database.fetchval('SELECT count(*) FROM accounts')}-{n}"
        for n in range(len(stories))
    ]
    for name in named:
        await put(book, name, None, None, "tests")
    now = await next_day(book)
    run_id = await last_run(database)
    tellers = [Story(book, name) for name in named]
    for teller, (before, _) in zip(tellers, stories, strict=True):
        for what, value in before:
            await teller.act(what, value)
    await taken_back(book, run_id, policy)
    for teller, (_, after) in zip(tellers, stories, strict=True):
        for what, value in after:
            await teller.act(what, value)
    ticked = await run_again.run_again(book, now.date(), "tests", 60)
    assert ticked.done
    rows = await database.fetch(
        """SELECT lots.account_id, sum(lots.free + lots.held)::bigint AS left_, sum(coalesce((
                      SELECT sum(amount) FROM entries WHERE lot_id = lots.id
                         AND kind IN ('spend', 'repayment')), 0))::bigint AS used
             FROM daily_grants JOIN lots ON lots.id = lot_id
            WHERE day_on = $1 GROUP BY lots.account_id""",
        now.date(),
    )
    for row in rows:
        assert row["left_"] + row["used"] <= 5 + await _paid(database, row["account_id"])
    assert await differences(database) == []


async def _paid(database: Database, account_id: int) -> int:
    """What other lots repaid of the day's debt: that much the account has paid for itself."""
    return int(
        await database.fetchval(
            """SELECT coalesce(sum(amount), 0) FROM entries JOIN lots ON lots.id = lot_id
            WHERE entries.account_id = $1 AND kind = 'repayment' AND source <> 'daily'""",
            account_id,
        )
    )
