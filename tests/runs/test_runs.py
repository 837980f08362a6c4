"""A run is an object: it has the accounts that it opened and skipped, and who started it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.accounts.standing import close
from app.allowance.origin import Origin
from app.allowance.zones import Wave
from app.book import Book
from app.cli import app as cli
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.ledger.idempotency import request_key
from app.operators.acts import Operator
from app.runs import bulk, due_waves, run, run_row
from app.runs.one_by_one import Passing
from app.runs.run import run_due
from app.spending.corrections import grant
from app.spending.keyed import Order
from app.spending.spend import SpendOrder, Spent, spend
from tests.api_client import Api
from tests.conftest import NOW, open_database
from tests.invariants import differences
from tests.runs.test_daily_runs import MIDNIGHT, cron, open_accounts, openings

REASONS = {"opened_by_use": 0, "closed": 0, "dormant": 0, "day_over": 0}
OPERATOR = Operator(actor="tests", reason=None)


async def begun(book: Book, on: date) -> int:
    """A run of this date in UTC."""
    starts_at = datetime.combine(on, time.min, UTC)
    async with book.database.transaction():
        return await run_row.begin(book.database, (on, starts_at), 1, "tests", {})


async def added(database: Database, counts: list[tuple[int, run_row.Counted]]) -> None:
    async with database.transaction():
        for number, counted in counts:
            await run_row.add(database, number, counted, 0)


async def waiting(database: Database, count: int = 1) -> None:
    """Until so many other connections wait for a lock."""
    waits = """SELECT count(*) FROM pg_stat_activity
                WHERE wait_event_type = 'Lock' AND datname = current_database()"""
    async with asyncio.timeout(20):
        while await database.fetchval(waits) < count:
            await asyncio.sleep(0.01)


async def use(book: Book) -> None:
    """Spend one credit of user-0."""
    key = request_key("use", "POST", "use", None)
    (spent,) = await spend(
        book, [SpendOrder(account_id="user-0", amount=1, actor="tests", key=key)]
    )
    assert isinstance(spent, Spent)


async def start(api: Api, **body: object) -> httpx.Response:
    return await api.client.post("/api/v1/runs", json=body, headers=api.headers("operator"))


async def runs(api: Api) -> list[dict[str, Any]]:
    return (await api.get("/api/v1/runs")).json()["data"]


async def test_a_run_tells_whom_it_skipped_and_why(api, database, book) -> None:
    await open_accounts(api, 4)
    await close(book, "user-3", OPERATOR)
    await api.set_clock(MIDNIGHT, tick=False)
    await api.spend("user-0", 1, "key-0")
    await cron(api)
    (one,) = await runs(api)
    assert one["skipped_reasons"] == {**REASONS, "opened_by_use": 1, "closed": 1}
    assert (one["expected"], one["issued"], one["skipped"], one["failed"]) == (4, 2, 2, 0)
    assert (one["state"], one["catalogue"], one["started_by"]) == ("done", 1, "cron")
    assert one["took_ms"] > 0
    assert (await api.get(f"/api/v1/runs/{one['id']}")).json() == one
    assert await differences(database) == []


async def test_what_was_not_opened_is_told_by_zone_and_date(api, database) -> None:
    await open_accounts(api, 2, "UTC", "a")
    await open_accounts(api, 1, "Etc/GMT", "b")  # the same wave
    await api.set_clock(NOW + timedelta(days=3), tick=False)
    await api.spend("a-0", 1, "key-0")
    await cron(api)
    (one,) = await runs(api)
    assert one["not_opened"] == 6
    assert one["not_opened_dates"] == [
        {"time_zone": "Etc/GMT", "on": "2026-01-02", "accounts": 1},
        {"time_zone": "Etc/GMT", "on": "2026-01-03", "accounts": 1},
        {"time_zone": "UTC", "on": "2026-01-02", "accounts": 2},
        {"time_zone": "UTC", "on": "2026-01-03", "accounts": 2},
    ]


async def test_days_that_use_alone_opened_in_an_outage_are_counted_by_runs_of_their_own(
    api, database
) -> None:
    await open_accounts(api, 2)
    for days in (2, 5):  # the workers are down all the while
        await api.set_clock(NOW + timedelta(days=days), tick=False)
        for n in range(2):
            await api.spend(f"user-{n}", 1, f"key-{days}-{n}")
    await cron(api)
    found = await runs(api)
    assert [(one["on"], one["state"], one["expected"], one["issued"]) for one in found] == [
        ("2026-01-03", "done", 2, 0),
        ("2026-01-06", "done", 2, 0),
    ]
    assert [one["skipped_reasons"]["opened_by_use"] for one in found] == [2, 2]
    assert [one["not_opened"] for one in found] == [2, 4]
    await cron(api)
    assert await runs(api) == found


async def test_a_nudge_beside_a_working_one_does_not_call_the_run_done(
    api, server, database, book, monkeypatch
) -> None:
    await open_accounts(api, 3)
    await api.set_clock(MIDNIGHT, tick=False)
    entered, go_on = asyncio.Event(), asyncio.Event()
    open_days = bulk.open_days

    async def slowly(*args: Any, **named: Any) -> Any:
        counted = await open_days(*args, **named)
        entered.set()
        await go_on.wait()
        return counted

    async with open_database(server.application_url) as other:
        monkeypatch.setattr(run.bulk, "open_days", slowly)
        working = asyncio.create_task(run_due(other, book.catalogues, "slow", 30))
        await entered.wait()
        monkeypatch.setattr(run.bulk, "open_days", open_days)
        beside = await run_due(database, book.catalogues, "beside", 30)
        assert not beside.done
        assert (await runs(api))[0]["state"] == "going"
        go_on.set()
        assert (await working).done
    (one,) = await runs(api)
    assert (one["state"], one["issued"], one["skipped"], one["expected"]) == ("done", 3, 0, 3)


async def test_chunks_side_by_side_open_each_day_once_and_count_it(
    api, database, book, monkeypatch
) -> None:
    count, places = 12, 3
    await open_accounts(api, count)
    await api.set_clock(MIDNIGHT, tick=False)
    monkeypatch.setattr(bulk, "CHUNK_ACCOUNTS", 2)
    together, open_days, first = asyncio.Barrier(places), bulk.open_days, set[Any]()

    async def meeting(*args: Any, **named: Any) -> Any:
        counted = await open_days(*args, **named)
        if asyncio.current_task() not in first:
            first.add(asyncio.current_task())
            await asyncio.wait_for(together.wait(), 30)  # each has a chunk that is not committed
        return counted

    monkeypatch.setattr(run.bulk, "open_days", meeting)
    assert (await run_due(database, book.catalogues, "tick", 30, at_once=places)).done
    (one,) = await runs(api)
    assert (one["state"], one["issued"], one["skipped"], one["expected"]) == ("done", 12, 0, 12)
    assert len(first) == places
    assert await database.fetchval("SELECT count(*) FROM daily_grants") == 2 * count
    assert await differences(database) == []


async def test_a_place_that_fails_ends_the_run_after_the_others(
    api, database, book, monkeypatch
) -> None:
    await open_accounts(api, 6)
    await api.set_clock(MIDNIGHT, tick=False)
    monkeypatch.setattr(bulk, "CHUNK_ACCOUNTS", 2)
    open_days, calls = bulk.open_days, 0

    async def failing_once(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("the connection is gone")
        return await open_days(*args, **named)

    monkeypatch.setattr(run.bulk, "open_days", failing_once)
    with pytest.raises(OSError, match="the connection is gone"):
        await run_due(database, book.catalogues, "tick", 30, at_once=2)
    assert (await runs(api))[0]["issued"] == 6
    assert (await run_due(database, book.catalogues, "tick", 30)).done
    assert await differences(database) == []


async def test_a_run_whose_day_ended_before_it_came_to_all_says_so(api, database, book) -> None:
    await open_accounts(api, 3)
    await api.set_clock(MIDNIGHT, tick=False)
    await run_due(database, book.catalogues, "crashing", within_s=0)
    await api.set_clock(MIDNIGHT + timedelta(days=1, hours=1), tick=False)
    await tick(book)
    first, second = await runs(api)
    assert (first["state"], first["issued"]) == ("done", 0)
    assert first["skipped_reasons"] == {**REASONS, "day_over": 3}
    assert (second["issued"], second["not_opened"]) == (3, 3)
    assert second["not_opened_dates"] == [{"time_zone": "UTC", "on": "2026-01-02", "accounts": 3}]


async def test_a_chunk_of_a_day_that_has_ended_meanwhile_opens_nothing(api, database, book) -> None:
    """A nudge may last for most of a minute, and a day end in it: a past day is never opened."""
    await open_accounts(api, 2)
    await api.set_clock(MIDNIGHT + timedelta(hours=23, minutes=59), tick=False)
    due = await due_waves.due_zones(database)
    await api.set_clock(MIDNIGHT + timedelta(days=1), tick=False)
    async with database.transaction():
        counted = await bulk.open_days(
            database, book.catalogues, "UTC", due["UTC"].day, Origin("grants", "slow")
        )
    assert counted.issued == 0
    await cron(api)
    assert set(await openings(database)) == {
        (f"user-{n}", on) for n in range(2) for on in ("2026-01-01", "2026-01-03")
    }
    assert await differences(database) == []


@pytest.mark.parametrize("act", [tick, use])
async def test_the_end_of_a_lot_that_was_spent_to_nothing_is_not_due_for_ever(
    api, database, book, act
) -> None:
    """Else no run and no tick would ever be done, and `grants run` would go on until midnight."""
    await open_accounts(api, 1)
    ends_at = NOW + timedelta(hours=2)
    order = Order(actor="t", key=request_key("grant", "POST", "x", None), reason="a gift")
    await grant(book, "user-0", 9, order, expires_at=ends_at, priority=50)
    assert (await api.spend("user-0", 9, "key-1")).status_code == 201
    await api.set_clock(ends_at, tick=False)
    await act(book)
    assert await database.fetchval("SELECT due_at FROM accounts") == MIDNIGHT
    assert (await tick(book)).done
    assert await differences(database) == []


async def test_two_chunks_of_a_run_add_what_was_not_opened_in_turn(
    api, server, database, book
) -> None:
    """In no order of its own, each would wait for a date that the other has added."""
    counted = run_row.Counted(gaps=Counter({("UTC", NOW.date()): 1}))
    number = await begun(book, (NOW + timedelta(days=5)).date())
    async with open_database(server.application_url) as other:
        async with other.transaction():
            await run_row.lock(other, number)  # as a chunk has it that has added already
            adding = asyncio.create_task(added(database, [(number, counted)]))
            await waiting(database)
            await other.execute("SET LOCAL lock_timeout = '1s'")
            await run_row.add(other, number, counted, 0)
        await adding
    counts = await database.fetch("SELECT account_count FROM run_not_opened")
    assert [row["account_count"] for row in counts] == [2, 2, 2, 2]


async def test_a_nudge_that_begins_two_runs_and_one_that_adds_to_both_take_turns(
    api, server, database, book
) -> None:
    """Whichever of the runs was made first: here it is that of the later wave."""
    await open_accounts(api, 1, "Pacific/Kiritimati", "east")
    await open_accounts(api, 1)
    await api.set_clock(NOW + timedelta(days=1), tick=False)
    due = await due_waves.due_zones(database)
    runs: dict[Wave, int] = {}
    for zone in ("Pacific/Kiritimati", "UTC"):
        runs |= await run._begin_runs(database, book.catalogues, "tests", {zone: due[zone]})
    assert [number for _, number in sorted(runs.items())] == [2, 1]
    passing = Passing(
        database,
        book.catalogues,
        Origin("grants", "tests"),
        runs,
        {zone: one.wave for zone, one in due.items()},
        None,
        NOW + timedelta(days=1),
    )
    async with open_database(server.application_url) as other:
        async with other.transaction():
            await run_row.lock(other, 2)
            beginning = asyncio.create_task(
                run._begin_runs(database, book.catalogues, "tests", due)
            )
            await waiting(database)
            adding = asyncio.create_task(passing.chunk())
            await waiting(database, 2)
        assert await asyncio.gather(beginning, adding) == [runs, 2]
    # Else it was ended as the victim of a deadlock, and did it all again one by one.
    together = "SELECT count(DISTINCT xmin::text) FROM daily_grants WHERE previous_on IS NOT NULL"
    assert await database.fetchval(together) == 1
    assert (await tick(book)).done
    assert passing.failed == {}
    assert await database.fetch("SELECT expected, issued FROM runs") == [(1, 1), (1, 1)]


async def test_a_closed_account_whose_last_day_use_ended_is_not_expected(
    api, database, book
) -> None:
    await open_accounts(api, 3)
    await close(book, "user-0", OPERATOR)
    await api.set_clock(MIDNIGHT, tick=False)
    await run_due(database, book.catalogues, "crashing", within_s=0)
    assert (await api.spend("user-0", 1, "key-0")).status_code == 402
    await cron(api)
    (one,) = await runs(api)
    assert (one["expected"], one["issued"], one["skipped"], one["state"]) == (2, 2, 0, "done")


async def test_whom_use_opens_while_a_run_begins_is_expected_once(api, database, book) -> None:
    await open_accounts(api, 3)
    await api.set_clock(MIDNIGHT, tick=False)
    due = await due_waves.due_zones(database)
    await api.spend("user-0", 1, "key-0")
    await run._begin_runs(database, book.catalogues, "slow", due)
    assert (await runs(api))[0]["expected"] == 3
    await cron(api)
    (one,) = await runs(api)
    assert (one["expected"], one["issued"], one["skipped"], one["state"]) == (3, 2, 1, "done")


async def test_a_run_expects_those_that_are_due_although_use_came_before_it(
    api, database, book
) -> None:
    await open_accounts(api, 3)
    await api.set_clock(MIDNIGHT, tick=False)
    await api.spend("user-0", 1, "key-0")
    await run_due(database, book.catalogues, "crashing", within_s=0)
    assert (await runs(api))[0]["expected"] == 3
    await api.set_clock(MIDNIGHT + timedelta(days=1, hours=1), tick=False)
    await tick(book)
    first, _ = await runs(api)
    assert (first["expected"], first["issued"], first["state"]) == (3, 0, "done")
    assert first["skipped_reasons"] == {**REASONS, "opened_by_use": 1, "day_over": 2}


async def test_an_operator_starts_a_run_and_it_is_recorded(api, database) -> None:
    await open_accounts(api, 2)
    await api.set_clock(MIDNIGHT, tick=False)
    answer = await start(api)
    assert answer.status_code == 202
    (one,) = answer.json()["runs"]
    assert (one["issued"], one["state"]) == (2, "done")
    (act,) = (await api.get("/api/v1/operator-acts", act="run")).json()["data"]
    assert (act["run_id"], act["actor"]) == (one["id"], one["started_by"])
    assert (await start(api)).json() == {"runs": []}


async def test_a_dry_run_tells_by_tier_and_writes_nothing(api, database) -> None:
    await open_accounts(api, 3)
    await api.spend("user-0", 2, "key-0")
    await api.set_clock(MIDNIGHT, tick=False)
    before = await database.fetchrow("SELECT count(*), max(id) FROM journals")
    answer = await start(api, dry_run=True, on="2026-01-02")
    assert answer.status_code == 200
    assert answer.json() == {
        "plan": [
            {
                "on": "2026-01-02",
                "wave_at": "2026-01-02T00:00:00.000000Z",
                "time_zones": ["UTC"],
                "closed": 0,
                "dormant": 0,
                "not_opened": 0,
                "tiers": [
                    {
                        "tier": "FREE",
                        "accounts": 3,
                        "issued_credits": 15,
                        "expired_credits": 13,
                        "carried_credits": 0,
                    }
                ],
            }
        ]
    }
    assert await database.fetchrow("SELECT count(*), max(id) FROM journals") == before
    assert await runs(api) == []


@pytest.mark.parametrize(
    ("on", "said"),
    [("2025-12-31", "never opened"), ("2026-01-04", "has begun nowhere yet")],
)
async def test_no_run_opens_a_day_that_is_over_or_has_not_begun(api, on, said) -> None:
    await open_accounts(api, 1)
    await api.set_clock(MIDNIGHT, tick=False)
    for dry_run in (False, True):
        answer = await start(api, on=on, dry_run=dry_run)
        assert (answer.status_code, answer.json()["code"]) == (422, "run_date")
        assert said in answer.json()["detail"]


async def test_a_date_keeps_to_the_zones_where_it_is_that_date(api, database) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Niue", "UTC"):
        await open_accounts(api, 1, zone, zone.rpartition("/")[2])
    await api.set_clock(NOW + timedelta(days=1), tick=False)
    answer = await start(api, on="2026-01-03")
    assert [one["on"] for one in answer.json()["runs"]] == ["2026-01-03"]
    opened = await openings(database)
    assert opened["Kiritimati-0", "2026-01-03"] == 1
    assert not opened["UTC-0", "2026-01-02"]
    assert len((await start(api)).json()["runs"]) == 2


async def test_the_commands_run_plan_list_and_show(api, server, database, monkeypatch) -> None:
    await open_accounts(api, 2)
    await api.set_clock(NOW + timedelta(days=2), tick=False)
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    monkeypatch.setenv("COLUMNS", "200")

    async def said(*words: str, code: int = 0) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, cli, ["grants", *words])
        assert result.exit_code == code, result.output
        return re.sub(r"\s+", " ", re.sub("[│┃]", " ", result.output))

    planned = await said("run", "--dry-run")
    assert "FREE 2 10 10 0" in planned
    assert "2 past account-days are not opened" in planned
    assert await database.fetchval("SELECT count(*) FROM runs") == 0
    # expected, issued, credits, expired, not opened
    assert "2026-01-03 2026-01-03 00:00:00 done 2 2 10 10 2" in await said("run")
    assert "Nothing was due." in await said("run")
    (one,) = await runs(api)
    assert one["started_by"] == "tallybook grants run"
    assert one["id"] in await said("list")
    shown = await said("show", one["id"])
    assert "UTC 2026-01-02 2" in shown
    assert "skipped, opened by use 0 skipped, closed 0 skipped, dormant 0" in shown
    (listed,) = json.loads(await said("list", "--json"))
    assert (listed["run"], listed["credits"], listed["taken back"]) == (one["id"], 10, None)
    shown = json.loads(await said("show", one["id"], "--json"))
    assert shown["not opened on"] == [{"time_zone": "UTC", "on": "2026-01-02", "accounts": 2}]
    await said("show", "run_nothing", code=1)
    await said("run", "--on", "2025-12-31", code=1)


async def test_a_book_that_lost_its_clock_opens_no_day_twice(api, database, book) -> None:
    """A clock set back: dates only ascend, and what was opened stays opened."""
    await open_accounts(api, 2)
    await api.set_clock(NOW + timedelta(days=3))
    before = await openings(database)
    await database.execute("UPDATE dev_clock SET standing_at = $1", NOW + timedelta(days=1))
    assert (await tick(book)).run_ids == []
    assert await openings(database) == before
    await database.execute("UPDATE dev_clock SET standing_at = $1", NOW + timedelta(days=3))
    assert (await tick(book)).run_ids == []
    after = Book(database)
    await database.execute("UPDATE dev_clock SET standing_at = $1", NOW + timedelta(days=4))
    await tick(after)
    assert set((await openings(database)).values()) == {1}
    assert await differences(database) == []
