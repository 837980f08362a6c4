"""The daily run: both crons at once, waves of zones, what was not opened."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.allowance.origin import Origin
from app.book import Book
from app.infrastructure import ids
from app.jobs.tick import tick
from app.runs import bulk
from app.runs.one_by_one import Passing
from app.runs.run import run_due
from tests.api_client import Api
from tests.conftest import NOW, open_database
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


async def open_accounts(api: Api, count: int, zone: str = "UTC", name: str = "user") -> None:
    answers = await asyncio.gather(
        *(api.put(f"/api/v1/accounts/{name}-{n}", {"time_zone": zone}) for n in range(count))
    )
    assert {answer.status_code for answer in answers} == {201}


async def cron(api: Api, method: str = "POST"):
    headers = {"Authorization": "Bearer cron-secret-of-the-tests"}
    return await api.client.request(method, "/api/cron/reset-credits", headers=headers)


async def openings(database) -> Counter[tuple[str, str]]:
    rows = await database.fetch(
        """SELECT external_id, daily_grants.day_on
             FROM daily_grants JOIN accounts ON accounts.id = account_id"""
    )
    return Counter((row["external_id"], str(row["day_on"])) for row in rows)


async def test_all_crons_and_spends_at_once_open_each_day_once(api, server, database, book) -> None:
    await open_accounts(api, 30)
    await api.set_clock(MIDNIGHT, tick=False)
    async with open_database(server.application_url) as other:
        answers = await asyncio.gather(
            tick(book),
            tick(Book(other)),
            cron(api),
            cron(api, "GET"),
            tick(book),
            *(api.spend(f"user-{n}", 1, f"key-{n}") for n in range(0, 30, 3)),
        )
    assert {answer.status_code for answer in answers[5:]} == {201}
    assert {answer.status_code for answer in answers[2:4]} <= {200, 202}
    assert set((await openings(database)).values()) == {1}
    assert len(await openings(database)) == 60
    await cron(api)
    run = (await database.fetch("SELECT * FROM runs"))[0]
    assert (run["state"], run["issued"] + run["skipped"], run["not_opened"]) == ("done", 30, 0)
    assert run["issued_credits"] == 5 * run["issued"]
    assert await differences(database) == []


async def test_a_run_counts_what_it_did(api, database) -> None:
    await open_accounts(api, 3)
    await api.spend("user-0", 2, "key-0")
    await api.set_clock(MIDNIGHT, tick=False)
    await api.spend("user-1", 1, "key-1")  # opens its own day
    answer = await cron(api)
    assert answer.status_code == 200
    (run,) = answer.json()["runs"]
    assert (run["on"], run["wave_at"], run["state"]) == (
        "2026-01-02",
        "2026-01-02T00:00:00.000000Z",
        "done",
    )
    counted = ("expected", "issued", "issued_credits", "expired_credits", "skipped", "not_opened")
    assert {name: run[name] for name in counted} == {
        "expected": 3,
        "issued": 2,
        "issued_credits": 10,
        "expired_credits": 8,
        "skipped": 1,
        "not_opened": 0,
    }


async def test_a_cron_with_nothing_due_makes_no_run(api, database) -> None:
    await open_accounts(api, 1)
    assert (await cron(api)).json() == {"runs": []}
    assert await database.fetchval("SELECT count(*) FROM runs") == 0


async def test_a_run_after_an_outage_opens_one_day_and_counts_those_it_did_not(
    api, database
) -> None:
    await open_accounts(api, 2)
    await api.set_clock(NOW + timedelta(days=7), tick=False)
    (run,) = (await cron(api)).json()["runs"]
    assert (run["on"], run["issued"], run["not_opened"]) == ("2026-01-08", 2, 2 * 6)
    assert len(await openings(database)) == 4
    assert (await api.account("user-0"))["balance"] == 5
    assert await differences(database) == []


async def test_one_tick_serves_zones_on_either_side_of_the_date_line(api, database) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Niue", "UTC"):
        await open_accounts(api, 2, zone, zone.rpartition("/")[2])
    await api.set_clock(NOW + timedelta(days=1), tick=False)
    runs = (await cron(api)).json()["runs"]
    waves = {(run["on"], run["wave_at"][:16]): run["issued"] for run in runs}
    assert waves == {
        ("2026-01-03", "2026-01-02T10:00"): 2,  # +14
        ("2026-01-02", "2026-01-02T00:00"): 2,
        ("2026-01-02", "2026-01-02T11:00"): 2,  # -11
    }
    opened = await openings(database)
    assert opened["Kiritimati-0", "2026-01-02"] == opened["Niue-0", "2026-01-01"] == 1
    assert set(opened.values()) == {1}
    assert await differences(database) == []


async def test_ticks_of_a_month_open_every_day_once(api, database) -> None:
    await open_accounts(api, 1, "Europe/Berlin", "berlin")
    await open_accounts(api, 1, "Pacific/Niue", "niue")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.set_clock(NOW + timedelta(days=31))
    opened = await openings(database)
    assert set(opened.values()) == {1}
    assert Counter(name for name, _ in opened) == {"berlin-0": 32, "niue-0": 32, None: 32}
    assert await database.fetchval("SELECT sum(not_opened) FROM runs") == 0
    assert await database.fetchval("SELECT count(*) FROM runs WHERE state <> 'done'") == 0
    assert await differences(database) == []


async def test_an_account_that_fails_does_not_cost_the_others_their_day(
    api, server, database, book
) -> None:
    await open_accounts(api, 3)
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute(
        """ALTER TABLE daily_grants ADD CONSTRAINT broken
           CHECK (account_id <> 1 OR day_on = '2026-01-01')"""
    )
    await owner.close()
    await api.set_clock(MIDNIGHT, tick=False)
    await tick(book)
    second_days = "SELECT count(*) FROM daily_grants WHERE previous_on IS NOT NULL"
    assert await database.fetchval(second_days) == 2
    assert await database.fetchval("SELECT failed FROM runs") == 1


@asynccontextmanager
async def owning(server) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection: to break what nothing else can."""
    owner = await asyncpg.connect(server.owner_url)
    yield owner
    await owner.close()


async def test_one_failing_account_does_not_keep_the_others_from_the_set_based_way(
    api, server, database, book, monkeypatch
) -> None:
    """It is due for longest, so that every chunk would begin with it."""
    await open_accounts(api, 9)
    async with owning(server) as owner:
        await owner.execute(
            "ALTER TABLE daily_grants ADD CONSTRAINT broken CHECK (account_id <> 1) NOT VALID"
        )
    monkeypatch.setattr(bulk, "CHUNK_ACCOUNTS", 3)
    in_one_place = dataclasses.replace(book, grant_chunks=1)
    for days in (0, 1):
        await api.set_clock(MIDNIGHT + timedelta(days=days), tick=False)
        await tick(in_one_place)
    # A chunk's accounts are opened by one transaction: two of the first chunk one by one.
    opened = await database.fetch(
        """SELECT count(*) FROM daily_grants WHERE previous_on IS NOT NULL
            GROUP BY day_on, xmin ORDER BY day_on, count(*)"""
    )
    assert [row["count"] for row in opened] == 2 * [1, 1, 3, 3]
    runs = await database.fetch("SELECT * FROM runs ORDER BY id")
    assert [(row["issued"], row["failed"], row["state"]) for row in runs] == [
        (8, 1, "done"),
        (8, 1, "going"),
    ]


async def test_a_zone_that_tzdata_has_dropped_costs_nobody_else_anything(
    api, server, database, book
) -> None:
    await open_accounts(api, 3)
    async with owning(server) as owner:
        await owner.execute("UPDATE accounts SET time_zone = 'US/Pacific-New' WHERE id = 1")
        dropped = await owner.fetchval("SELECT external_id FROM accounts WHERE id = 1")
    await api.set_clock(MIDNIGHT, tick=False)
    assert (await tick(book)).done
    assert await database.fetchval("SELECT issued FROM runs") == 2
    refused = await api.spend(dropped, 1, "key-1")
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_zone")
    # Whoever names another zone for it has its day go on until a later one begins there.
    await api.set_clock(MIDNIGHT + timedelta(hours=1), tick=False)
    named = await api.put(f"/api/v1/accounts/{dropped}", {"time_zone": "Asia/Tokyo"})
    assert named.status_code == 200
    assert (await api.account(dropped))["next_grant_at"] == "2026-01-02T15:00:00.000000Z"
    await api.set_clock(MIDNIGHT + timedelta(hours=15))
    opened = await openings(database)
    assert sorted(on for name, on in opened if name == dropped) == ["2026-01-01", "2026-01-03"]
    assert set(opened.values()) == {1}
    assert await differences(database) == []


async def test_what_fails_before_the_grants_of_a_tick_costs_nobody_the_day(
    api, server, database, book
) -> None:
    await open_accounts(api, 2)
    await api.set_clock(MIDNIGHT)
    async with owning(server) as owner:
        await owner.execute(
            "ALTER TABLE reversals ADD CONSTRAINT broken CHECK (coalesce(last_journal_id, 0) = 0)"
        )
    (run,) = await database.fetch("SELECT * FROM runs")
    reversing = await api.client.post(
        "/api/v1/reversals",
        json={"run_id": ids.public(ids.RUN, run["id"]), "reason": "why"},
        headers=api.headers("operator", **{"Idempotency-Key": "reversal"}),
    )
    assert reversing.status_code == 500
    await api.set_clock(MIDNIGHT + timedelta(days=1), tick=False)
    with pytest.raises(asyncpg.CheckViolationError):
        await tick(book)
    assert await database.fetchval("SELECT sum(issued) FROM runs") == 4
    assert await database.fetchval("SELECT state FROM reversals WHERE of_run_id = 1") == "going"


async def test_a_day_that_begins_while_a_nudge_is_at_work_is_its_own_runs(
    api, database, book
) -> None:
    await open_accounts(api, 2)
    passing = Passing(database, book.catalogues, Origin("grants", "slow"), {}, {}, None, due_by=NOW)
    await api.set_clock(MIDNIGHT, tick=False)
    assert await passing.chunk() == 0
    await tick(book)
    (run,) = await database.fetch("SELECT * FROM runs")
    assert (run["issued"], run["skipped_by_use"]) == (2, 0)


async def test_a_run_that_a_crash_left_going_is_finished_by_the_next(api, database, book) -> None:
    await open_accounts(api, 3)
    await api.set_clock(MIDNIGHT, tick=False)
    await run_due(database, book.catalogues, "crashing", within_s=0)  # begun, and not a chunk done
    state = "SELECT state FROM runs"
    assert await database.fetchval(state) == "going"
    await tick(book)
    assert await database.fetchval(state) == "done"
    assert await database.fetchval("SELECT issued FROM runs") == 3
