"""Reversals: a named journal is negated once; what was spent already goes the policy's way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.infrastructure import ids
from app.jobs.tick import tick
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import request_key
from app.reversals import run
from app.reversals.journal import reverse_journal
from app.reversals.record import ReversalOrder
from tests.acts import DAY, HOUR, Acts, journal_count, ledger_differences, subscribe
from tests.conftest import NOW
from tests.invariants import differences

FIVE = ("requested", "clawed", "held", "shortfall", "expired")


@pytest.fixture
async def acts(api) -> Acts:
    """A FREE account, user-1, with 5 credits a day."""
    await api.put("/api/v1/accounts/user-1", {})
    return Acts(api)


async def five(acts: Acts, journal_id: str, policy: str = "write_off", **more) -> tuple[int, ...]:
    """Reverse it; the answer's five numbers."""
    answer = await acts.done(await acts.reverse(journal_id, policy, **more))
    return tuple(answer[name] for name in FIVE)


async def test_a_reversed_spend_restores_its_lots_in_reverse_order(acts, database) -> None:
    await acts.grant(10)
    spent = await acts.journal(await acts.spend(12))
    answer = await acts.done(await acts.reverse(spent))
    assert [answer[name] for name in FIVE] == [12, 0, 0, 0, 0]
    assert await acts.journal_entries(answer["journal_id"]) == [
        ("reversal", "spent", "free", 7),
        ("reversal", "spent", "free", 5),
    ]
    lots = {lot["source"]: lot["free"] for lot in (await acts.api.account("user-1"))["lots"]}
    assert lots == {"daily": 5, "promotional": 10}
    assert await differences(database) == []


async def test_a_spend_of_an_ended_lot_is_restored_and_expires_in_the_same_journal(
    acts, database
) -> None:
    spent = await acts.journal(await acts.spend(4))
    await acts.api.set_clock(NOW + DAY)
    answer = await acts.done(await acts.reverse(spent))
    assert (answer["requested"], answer["expired"]) == (4, 4)
    assert await acts.journal_entries(answer["journal_id"]) == [
        ("reversal", "spent", "free", 4),
        ("expiry", "free", "expired", 4),
    ]
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_a_reversed_capture_gives_back_what_it_took(acts, database) -> None:
    hold_id = await acts.held(5)
    await acts.capture(hold_id, 3)
    (journal,) = [
        e["journal_id"]
        for e in (await acts.api.get("/api/v1/ledger/entries", kind="spend")).json()["data"]
    ]
    assert await five(acts, journal) == (3, 0, 0, 0, 0)
    assert await acts.sides() == (5, 0, 0)
    assert (await acts.api.get(f"/api/v1/holds/{hold_id}")).json()["captured"] == 3
    assert await differences(database) == []


async def test_written_off_is_what_was_spent_of_a_reversed_grant(acts, database) -> None:
    granted = await acts.journal(await acts.grant(10, priority=0))
    await acts.spend(6)
    answer = await acts.done(await acts.reverse(granted))
    assert [answer[name] for name in FIVE] == [10, 4, 0, 6, 0]
    assert await acts.journal_entries(answer["journal_id"]) == [
        ("reversal", "free", "issued", 4),
        ("write_off", "written_off", "issued", 6),
    ]
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_owed_is_what_was_spent_and_free_credits_repay_it_at_once(acts, database) -> None:
    granted = await acts.journal(await acts.grant(20, priority=0))
    await acts.spend(18)
    assert await five(acts, granted, "debt") == (20, 2, 0, 18, 0)
    assert await acts.sides() == (0, 0, 13)
    await acts.grant(4)
    assert await acts.sides() == (0, 0, 9)
    await acts.api.set_clock(NOW + DAY)  # the next day's grant
    assert await acts.sides() == (0, 0, 4)
    await acts.grant(10)
    assert await acts.sides() == (6, 0, 0)
    assert await differences(database) == []


async def test_where_a_shortfall_is_rejected_nothing_changes(acts, book) -> None:
    granted = await acts.journal(await acts.grant(10, priority=0))
    await acts.spend(1)
    count = await journal_count(book)
    answer = await acts.reverse(granted, "reject", key="the-key")
    assert (answer.status_code, answer.json()["code"]) == (409, "shortfall")
    assert await journal_count(book) == count
    assert await acts.sides() == (14, 0, 0)
    # Its key is free, and another policy may have it.
    assert await five(acts, granted, "write_off", key="the-key") == (10, 9, 0, 1, 0)


async def test_where_nothing_is_short_reject_is_no_obstacle(acts) -> None:
    granted = await acts.journal(await acts.grant(10))
    assert await five(acts, granted, "reject") == (10, 10, 0, 0, 0)
    assert await acts.sides() == (5, 0, 0)


async def test_what_of_a_reversed_grant_expired_is_no_shortfall(acts, database) -> None:
    granted = await acts.journal(await acts.grant(10, ends=NOW + HOUR, priority=0))
    await acts.spend(3)
    await acts.api.set_clock(NOW + 2 * HOUR)
    assert await five(acts, granted) == (10, 0, 0, 3, 7)
    assert await differences(database) == []


async def test_a_grant_that_expired_whole_is_reversed_by_a_journal_that_moves_nothing(
    acts, database
) -> None:
    granted = await acts.journal(await acts.grant(10, ends=NOW + HOUR))
    await acts.api.set_clock(NOW + 2 * HOUR)
    assert await five(acts, granted, "reject") == (10, 0, 0, 0, 10)
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_what_is_held_of_a_reversed_grant_is_clawed_at_the_release(acts, database) -> None:
    granted = await acts.journal(await acts.grant(10, priority=0))
    hold_id = await acts.held(6)
    answer = await acts.done(await acts.reverse(granted))
    assert [answer[name] for name in FIVE] == [10, 4, 6, 0, 0]
    await acts.release(hold_id)
    assert await acts.sides() == (5, 0, 0)
    now = (await acts.api.get(f"/api/v1/reversals/{answer['id']}", "operator")).json()
    assert [now[name] for name in FIVE] == [10, 10, 0, 0, 0]
    assert await differences(database) == []


async def test_what_is_held_and_captured_after_all_falls_short(acts, database) -> None:
    granted = await acts.journal(await acts.grant(10, priority=0))
    hold_id = await acts.held(6)
    answer = await acts.done(await acts.reverse(granted, "debt"))
    await acts.capture(hold_id, 2)
    now = (await acts.api.get(f"/api/v1/reversals/{answer['id']}", "operator")).json()
    assert [now[name] for name in FIVE] == [10, 8, 0, 2, 0]
    assert await acts.sides() == (3, 0, 0)  # the day's 5 repaid the debt of 2
    assert await differences(database) == []


async def test_a_hold_that_lapsed_before_another_reversal_has_given_its_share(
    acts, database
) -> None:
    """What is due is posted with the reversal, and the first reversal's row says so."""
    granted = await acts.journal(await acts.grant(10, priority=0))
    other = await acts.journal(await acts.grant(3))
    await acts.held(6, 60)
    first = await acts.done(await acts.reverse(granted))
    await acts.api.set_clock(NOW + timedelta(seconds=61), tick=False)
    await five(acts, other)
    now = (await acts.api.get(f"/api/v1/reversals/{first['id']}", "operator")).json()
    assert [now[name] for name in FIVE] == [10, 10, 0, 0, 0]
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_two_reversals_of_one_lot_do_not_both_wait_for_the_same_held_credits(
    acts, database, book
) -> None:
    await subscribe(acts, "PRO")  # an opening of 5 and a top-up of 15, in one lot
    await acts.spend(10)
    hold_id = await acts.held(10)
    journals = await database.fetch(
        "SELECT id FROM journals WHERE kind IN ('opening', 'top_up') ORDER BY id"
    )
    orders = [
        ReversalOrder(
            reason="a mistake",
            policy=Policy.WRITE_OFF,
            actor="tests",
            key=request_key(f"key-{row['id']}", "POST", "/", {}),
        )
        for row in journals
    ]
    results = [
        await reverse_journal(book, row["id"], order, dry_run=False)
        for row, order in zip(reversed(journals), orders, strict=True)
    ]
    assert [(one.held, one.shortfall) for one in results] == [(10, 5), (0, 5)]
    await acts.release(hold_id)
    assert await acts.sides() == (0, 0, 0)
    assert await database.fetchval("SELECT sum(pending) FROM reversals") == 0
    assert await ledger_differences(database) == []


@pytest.mark.parametrize(("policy", "owed"), [("write_off", 0), ("debt", 1)])
async def test_a_spend_of_a_reversed_grants_lot_first_undoes_the_shortfall(
    acts, database, policy, owed
) -> None:
    granted = await acts.journal(await acts.grant(6, priority=0))
    spent = await acts.journal(await acts.spend(6))
    await acts.spend(5)
    assert await five(acts, granted, policy) == (6, 0, 0, 6, 0)
    assert await acts.sides() == (0, 0, 6 * owed)
    assert await five(acts, spent) == (6, 0, 0, 0, 0)
    assert await acts.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_a_positive_adjustment_is_taken_back_and_a_negative_one_restored(
    acts, database
) -> None:
    more = await acts.journal(await acts.adjust(10))
    less = await acts.journal(await acts.adjust(-7))
    assert await five(acts, less) == (7, 0, 0, 0, 0)
    assert await acts.sides() == (15, 0, 0)
    assert await five(acts, more) == (10, 10, 0, 0, 0)
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


@pytest.mark.parametrize("policy", ["write_off", "debt"])
async def test_a_spent_adjustment_falls_short_by_policy(acts, database, policy) -> None:
    more = await acts.journal(await acts.adjust(10))
    await acts.spend(12)
    assert await five(acts, more, policy) == (10, 3, 0, 7, 0)
    assert await acts.sides() == (0, 0, 7 if policy == "debt" else 0)
    assert await differences(database) == []


async def test_a_reversed_day_stays_withdrawn_though_the_tier_rises(acts, database) -> None:
    entries = (await acts.api.get("/api/v1/ledger/entries", kind="grant")).json()["data"]
    assert await five(acts, entries[0]["journal_id"]) == (5, 5, 0, 0, 0)
    assert await acts.sides() == (0, 0, 0)
    await subscribe(acts, "PRO")
    assert await acts.sides() == (0, 0, 0)
    await acts.api.set_clock(NOW + DAY)
    assert await acts.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_a_journal_is_reversed_once_whichever_key_asks(acts, book) -> None:
    spent = await acts.journal(await acts.spend(4))
    first = await acts.reverse(spent, key="the-key")
    count = await journal_count(book)
    for key in ("the-key", "another-key"):
        again = await acts.reverse(spent, key=key)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotency-Replayed"] == "true"
    assert await journal_count(book) == count
    assert await acts.sides() == (5, 0, 0)


async def test_ten_reversals_of_one_journal_at_once_are_one(acts, database) -> None:
    spent = await acts.journal(await acts.spend(4))
    answers = await asyncio.gather(*(acts.reverse(spent) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert sorted(map(str, replayed)) == ["None", *["true"] * 9]
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_a_key_of_another_reversal_is_refused(acts) -> None:
    first = await acts.journal(await acts.spend(1))
    second = await acts.journal(await acts.spend(1))
    await acts.reverse(first, key="the-key")
    answer = await acts.reverse(second, key="the-key")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_holds_releases_and_reversals_are_not_reversible(acts, database) -> None:
    spent = await acts.journal(await acts.spend(1))
    await acts.release(await acts.held(1))
    await acts.reverse(spent)
    entries = (await acts.api.get("/api/v1/ledger/entries")).json()["data"]
    wanted = {"hold", "release", "reversal"}
    tried = {entry["kind"]: entry["journal_id"] for entry in entries if entry["kind"] in wanted}
    assert set(tried) == wanted
    for journal_id in tried.values():
        answer = await acts.reverse(journal_id)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_reversible")


async def test_a_dry_run_tells_and_changes_nothing(acts, book) -> None:
    granted = await acts.journal(await acts.grant(10, priority=0))
    await acts.spend(6)
    count = await journal_count(book)
    answer = await acts.reverse(granted, dry_run=True, key="the-key")
    assert answer.status_code == 200
    assert [answer.json()[name] for name in FIVE] == [10, 4, 0, 6, 0]
    assert await journal_count(book) == count
    assert await acts.sides() == (9, 0, 0)
    assert await five(acts, granted, key="another-key") == (10, 4, 0, 6, 0)


async def test_a_run_is_taken_back_account_by_account_and_once(api, database, book) -> None:
    accounts = [Acts(api, f"user-{n}") for n in range(6)]
    for one in accounts:
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await api.set_clock(NOW + DAY)
    await accounts[0].spend(2)
    await accounts[1].held(3)
    run_id = (await _runs(api))[0]["id"]
    body = {"run_id": run_id, "reason": "a mistake"}
    dry = await accounts[0].post("reversals", {**body, "dry_run": True}, scope="operator")
    answer = await accounts[0].post("reversals", body, scope="operator", key="the-key")
    assert answer.status_code == 202
    told = answer.json()
    assert (told["state"], told["journal_count"], told["skipped"]) == ("done", 6, 0)
    assert [told[name] for name in FIVE] == [30, 25, 3, 2, 0]
    assert [dry.json()[name] for name in FIVE] == [30, 25, 3, 2, 0]
    again = await accounts[0].post("reversals", body, scope="operator", key="another-key")
    assert (again.status_code, again.content) == (202, answer.content)
    assert [await one.sides() for one in accounts] == [(0, 0, 0), (0, 3, 0)] + [(0, 0, 0)] * 4
    assert await ledger_differences(database) == []


async def test_reject_skips_and_counts_the_accounts_of_a_run_that_spent(api, database) -> None:
    accounts = [Acts(api, f"user-{n}") for n in range(4)]
    for one in accounts:
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await api.set_clock(NOW + DAY)
    await accounts[2].spend(1)
    body = {"run_id": (await _runs(api))[0]["id"], "reason": "a mistake", "shortfall": "reject"}
    told = (await accounts[0].post("reversals", body, scope="operator")).json()
    assert (told["journal_count"], told["skipped"], told["clawed"]) == (3, 1, 15)
    assert [(await one.sides())[0] for one in accounts] == [0, 0, 4, 0]
    assert await ledger_differences(database) == []


async def test_a_run_reversal_that_was_cut_off_is_gone_on_with_by_the_tick(
    api, database, book
) -> None:
    accounts = [Acts(api, f"user-{n}") for n in range(4)]
    for one in accounts:
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await api.set_clock(NOW + DAY)
    run_id = await database.fetchval("SELECT id FROM runs")
    order = ReversalOrder(
        reason="a mistake",
        policy=Policy.WRITE_OFF,
        actor="tests",
        key=request_key("the-key", "POST", "/api/v1/reversals", {}),
    )
    # No time at all: it is begun, and nobody goes on with it.
    begun = await run.reverse_run(book, run_id, order, dry_run=False, within_s=0)
    assert (begun.state, begun.journal_count) == ("going", 0)
    await tick(book)
    answer = await api.get(
        f"/api/v1/reversals/{(await _reversal_ids(api, database))[0]}", "operator"
    )
    assert (answer.json()["state"], answer.json()["journal_count"]) == ("done", 4)
    assert [(await one.sides())[0] for one in accounts] == [0, 0, 0, 0]
    again = await run.reverse_run(book, run_id, order, dry_run=False, within_s=1)
    assert (again.replayed, again.state, again.clawed) == (True, "done", 20)


async def _runs(api) -> list[dict]:
    answer = await api.get("/api/v1/runs")
    return list(answer.json()["data"])


async def _reversal_ids(api, database) -> list[str]:
    rows = await database.fetch("SELECT id FROM reversals WHERE of_run_id IS NOT NULL")
    return [ids.public(ids.REVERSAL, row["id"]) for row in rows]
