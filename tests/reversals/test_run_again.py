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
    assert await written_off(database) == 0
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


async def give(book: Book, credits: int) -> None:
    """Let FREE give so many credits a day, from each account's next opening."""
    text = await book.database.fetchval("SELECT content FROM catalogues ORDER BY id LIMIT 1")
    daily = f"daily_credits = {credits}\n"
    await apply_tiers(book, text.replace("daily_credits = 5\n", daily))


async def mistaken(api, book: Book, credits: int = 50) -> Acts:
    """An account to which a wrong catalogue gave so much today."""
    await give(book, credits)
    (acts,) = await people(api, 1)
    assert await acts.available() == credits
    return acts


async def written_off(database: Database) -> int:
    """What stands as written off, all in all."""
    return int(
        await database.fetchval(
            """SELECT coalesce(sum(CASE WHEN debit = 'written_off' THEN amount ELSE -amount END), 0)
                 FROM entries WHERE kind = 'write_off'"""
        )
    )


async def test_what_a_mistake_cost_beyond_the_right_day_stays_written_off_with_its_reason(
    api, database, book
) -> None:
    acts = await mistaken(api, book)  # 50 instead of 20
    await acts.spend(30)
    told = await reverse_run(api, acts)
    assert (told["clawed"], told["shortfall"]) == (20, 30)
    await give(book, 20)
    (run,) = (await again(api)).json()["runs"]
    assert (run["issued"], run["issued_credits"]) == (1, 0)
    assert await acts.entries(run_id=run["id"]) == [("write_off", "issued", "written_off", 20)]
    assert await acts.sides() == (0, 0, 0)
    assert await written_off(database) == 10
    rows = (await api.get("/api/v1/ledger/entries", kind="write_off")).json()["data"]
    assert [(row["amount"], row["debit"]) for row in rows] == [(30, "written_off"), (20, "issued")]
    assert rows[0]["reason"] == "wrong"
    assert "it covers what fell short by rev_" in rows[1]["reason"]
    assert await differences(database) == []


async def test_what_a_mistake_cost_beyond_stays_owed_by_the_policy_debt(
    api, database, book
) -> None:
    acts = await mistaken(api, book)
    await acts.spend(30)
    await reverse_run(api, acts, "debt")
    assert await acts.sides() == (0, 0, 30)
    await give(book, 20)
    await again(api)
    assert await acts.sides() == (0, 0, 10)
    # What is owed does not count as used as well: 50 - 20 come, 10 of them repay.
    await subscribe(acts, "ENTERPRISE")
    assert await acts.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_what_a_mistake_cost_counts_as_used_of_the_day(api, database, book) -> None:
    """So that spent and free credits of the day are no more than the best tier's."""
    acts = await mistaken(api, book)
    await acts.spend(30)
    await reverse_run(api, acts)
    await give(book, 20)
    await again(api)
    await subscribe(acts, "ENTERPRISE")
    assert await acts.available() == 20
    assert await differences(database) == []


async def test_a_spend_that_comes_back_undoes_what_stayed_written_off_first(
    api, database, book
) -> None:
    acts = await mistaken(api, book)
    spent = (await acts.done(await acts.spend(30)))["id"]
    await reverse_run(api, acts)
    await give(book, 20)
    await again(api)
    await acts.done(await acts.give_back(7, spend_id=spent))
    assert (await acts.available(), await written_off(database)) == (0, 3)
    await acts.done(await acts.give_back(8, spend_id=spent))
    assert (await acts.available(), await written_off(database)) == (5, 0)
    await subscribe(acts, "ENTERPRISE")
    assert await acts.available() == 35  # 50, of which 15 are spent
    assert await differences(database) == []


@pytest.mark.parametrize(("captured", "free", "lost"), [(0, 10, 0), (25, 0, 15), (30, 0, 20)])
async def test_what_is_held_beyond_the_right_day_is_still_taken(
    api, database, book, captured, free, lost
) -> None:
    acts = await mistaken(api, book)
    await acts.done(await acts.spend(10))
    held = await acts.held(30)
    told = await reverse_run(api, acts)
    assert (told["clawed"], told["held"], told["shortfall"]) == (10, 30, 10)
    await give(book, 20)
    await again(api)  # covers the 10 that were spent, and 10 of the 30
    assert (await acts.sides(), await written_off(database)) == ((0, 30, 0), 0)
    if captured:
        await acts.done(await acts.capture(held, captured))
    else:
        await acts.done(await acts.release(held))
    assert await acts.sides() == (free, 0, 0)
    assert await written_off(database) == lost
    assert await differences(database) == []


async def test_a_third_opening_undoes_what_the_second_left(api, database, book) -> None:
    acts = await mistaken(api, book)
    await acts.spend(30)
    await reverse_run(api, acts)
    await give(book, 10)  # wrong once more
    await again(api)
    assert (await acts.sides(), await written_off(database)) == ((0, 0, 0), 20)
    await reverse_run(api, acts)
    await give(book, 40)
    await again(api)
    assert (await acts.sides(), await written_off(database)) == ((10, 0, 0), 0)
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
    wrong=st.integers(3, 15),
)
@settings(max_examples=25)
async def test_a_day_taken_back_and_opened_again_yields_the_day_and_what_the_mistake_cost(
    database: Database, stories: list[tuple[list[Any], list[Any]]], policy: Policy, wrong: int
) -> None:
    book = Book(database)
    await give(book, wrong)
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
    await give(book, RIGHT)
    ticked = await run_again.run_again(book, now.date(), "tests", 60)
    assert ticked.done
    rows = await database.fetch(_DAYS, now.date(), named)
    assert len(rows) == len(stories)
    for row in rows:
        spent, held, paid = row["spent"], row["held"], 0
        if policy is Policy.DEBT:
            paid = row["paid"]  # of what was owed, by gifts: the account has paid for that much
        covered = min(spent - paid, RIGHT)
        left_over = spent - paid - covered
        used = spent if policy is Policy.WRITE_OFF else covered
        assert row["free"] == max(0, RIGHT - used - held)
        assert row["written_off"] == (left_over if policy is Policy.WRITE_OFF else 0)
        assert row["debt"] == (left_over if policy is Policy.DEBT else 0)
        assert row["pending"] == max(0, held - (RIGHT - covered))
    assert await differences(database) == []


RIGHT = 5
# Of each account's day: what was spent and is held of its own lots, what is free, what stays
# written off, owed, and still to be taken; and what other lots repaid of the debt.
_DAYS = """
SELECT sum(lots.free)::bigint AS free, sum(lots.held)::bigint AS held, accounts.debt,
       sum(spent)::bigint AS spent, sum(written_off)::bigint AS written_off,
       sum(pending)::bigint AS pending,
       (SELECT coalesce(sum(amount), 0)::bigint FROM entries JOIN lots ON lots.id = lot_id
         WHERE entries.account_id = accounts.id
           AND kind = 'repayment' AND source <> 'daily') AS paid
  FROM daily_grants JOIN lots ON lots.id = lot_id
  JOIN accounts ON accounts.id = daily_grants.account_id
  CROSS JOIN LATERAL (
      SELECT coalesce(sum(amount) FILTER (WHERE kind = 'spend'), 0) AS spent,
             coalesce(sum(amount) FILTER (WHERE debit = 'written_off'), 0)
             - coalesce(sum(amount) FILTER (WHERE credit = 'written_off'), 0) AS written_off
        FROM entries WHERE lot_id = lots.id) AS moved
  CROSS JOIN LATERAL (
      SELECT coalesce(sum(pending), 0) AS pending FROM reversals WHERE lot_id = lots.id) AS waiting
 WHERE daily_grants.day_on = $1 AND external_id = ANY($2::text[]) GROUP BY accounts.id
"""
