"""A run is taken back when it is done and whole: also what it opened with nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.allowance.catalogue import default_text
from app.jobs.tick import tick
from app.ledger.clawbacks import Policy
from app.reversals import run as reverse_run
from app.reversals.record import find
from app.runs.run import run_due
from tests.accounts.test_racing_joins import WAITING
from tests.acts import DAY, Acts, ledger_differences, subscribe
from tests.as_owner import apply_tiers
from tests.conftest import NOW, open_database
from tests.invariants import differences
from tests.reversals.test_run_again import again, latest_run, people
from tests.reversals.test_run_again import reverse_run as taken_back
from tests.reversals.test_run_bulk import last_run, reversal_order
from tests.stripe_events import make_subscription_event

FREE_GIVES = "daily_credits = 5\n"


async def asked(api, acts: Acts, **more: Any):
    body = {"run_id": (await latest_run(api))["id"], "reason": "wrong", **more}
    return await acts.post("reversals", body, scope="operator")


async def test_a_run_that_stopped_between_its_chunks_is_taken_back_once_it_is_done(
    api, database, book, server
) -> None:
    accounts = await new_people(api, 4)
    await api.set_clock(NOW + DAY, tick=False)
    async with open_database(server.application_url, 1) as elsewhere, elsewhere.transaction():
        # A spend of somebody's is under way: the run leaves that account to the next tick.
        await elsewhere.execute("SELECT FROM accounts WHERE external_id = 'user-2' FOR UPDATE")
        ticked = await run_due(database, book.catalogues, "tests", 20)
        assert not ticked.done
        assert (await latest_run(api))["state"] == "going"
        for dry_run in (True, False):
            answer = await asked(api, accounts[0], dry_run=dry_run)
            assert (answer.status_code, answer.json()["code"]) == (409, "not_reversible")
            assert "still going, with 1 to come" in answer.json()["detail"]
    assert await database.fetchval("SELECT count(*) FROM reversals") == 0
    await tick(book)
    told = await accounts[0].done(await asked(api, accounts[0]))
    assert (told["state"], told["journal_count"], told["clawed"]) == ("done", 4, 20)
    assert [await one.sides() for one in accounts] == [(0, 0, 0)] * 4
    assert await ledger_differences(database) == []


async def test_one_account_that_fails_holds_up_no_reversal_of_its_run(
    api, server, database, book
) -> None:
    accounts = await new_people(api, 3)
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute(
        """ALTER TABLE daily_grants ADD CONSTRAINT broken
           CHECK (account_id <> 1 OR day_on = '2026-01-01')"""
    )
    await owner.close()
    await api.set_clock(NOW + DAY, tick=False)
    await tick(book)
    run = await latest_run(api)
    assert (run["state"], run["failed"], run["issued"]) == ("going", 1, 2)
    told = await accounts[0].done(await asked(api, accounts[0]))
    assert (told["state"], told["journal_count"], told["clawed"]) == ("done", 2, 10)


@pytest.fixture
async def one_asleep(api, book) -> tuple[Acts, Acts]:
    """The day's run has opened the first's day; the second is dormant until it is woken."""
    text = "dormant_after_days = 2\n" + default_text()
    await apply_tiers(book, text)
    awake, asleep = await new_people(api, 2)
    await api.set_clock(NOW + 2 * DAY)
    await awake.done(await awake.spend(1))
    await api.set_clock(NOW + 3 * DAY)
    return awake, asleep


async def test_what_a_tick_opens_while_its_run_is_taken_back_is_taken_back_too(
    api, database, book, one_asleep
) -> None:
    run_id = await last_run(database)
    order = reversal_order(Policy.WRITE_OFF)
    begun = await reverse_run.reverse_run(book, run_id, order, dry_run=False, within_s=0)
    assert begun.state == "going"
    await apply_tiers(book, default_text())  # nobody is dormant any more

    async def opened() -> None:
        async with database.transaction():
            await run_due(database, book.catalogues, "tests", 20)
            opening.set()
            await waited.wait()

    opening, waited = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(opened())
    await opening.wait()
    taking = asyncio.create_task(reverse_run.resume(book, 60))
    while not await database.fetchval(WAITING):
        await asyncio.sleep(0.01)
    waited.set()
    await running
    await taking
    told = await find(database, begun.number or 0)
    assert (told.state, told.journal_count, told.clawed) == ("done", 2, 10)
    assert [await one.sides() for one in one_asleep] == [(0, 0, 0)] * 2
    assert await ledger_differences(database) == []


async def test_a_day_that_was_opened_with_nothing_is_withdrawn_with_its_run(
    api, database, book
) -> None:
    await apply_tiers(book, default_text().replace(FREE_GIVES, "daily_credits = 0\n"), "t", "t")
    await api.set_clock(NOW + DAY)  # the tier gives nothing from the next day on
    poor, riser, risen = await people_of(api, 3)
    await subscribe(risen, "PRO")
    await risen.done(await risen.spend(3))
    told = await taken_back(api, poor)
    assert (told["journal_count"], told["requested"]) == (0, 0)
    await subscribe(riser, "PRO")
    assert [await one.sides() for one in (poor, riser, risen)] == [(0, 0, 0)] * 3
    assert await ledger_differences(database) == []
    (run,) = (await again(api, (NOW + 2 * DAY).date())).json()["runs"]
    assert (run["expected"], run["issued"], run["issued_credits"]) == (3, 3, 37)
    assert [await one.available() for one in (poor, riser, risen)] == [0, 20, 17]
    assert await differences(database) == []


async def new_people(api, count: int) -> list[Acts]:
    accounts = [Acts(api, f"user-{n}") for n in range(count)]
    for one in accounts:
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    return accounts


async def people_of(api, count: int) -> list[Acts]:
    """Accounts whose day of tomorrow a run has opened."""
    accounts = await new_people(api, count)
    await api.set_clock(NOW + 2 * DAY)
    return accounts


async def test_a_day_that_was_used_up_and_opened_again_with_nothing_follows_its_run(
    api, database, book
) -> None:
    spender, saver = await people(api, 2)
    await spender.done(await spender.spend(5))
    await taken_back(api, spender)
    (second,) = (await again(api)).json()["runs"]
    assert (second["issued"], second["issued_credits"]) == (2, 5)
    await taken_back(api, spender)
    await subscribe(spender, "PRO")
    assert [await one.sides() for one in (spender, saver)] == [(0, 0, 0)] * 2
    await apply_tiers(book, default_text().replace(FREE_GIVES, "daily_credits = 7\n"), "t", "t")
    (third,) = (await again(api)).json()["runs"]
    assert (third["opening"], third["expected"], third["issued"]) == (3, 2, 2)
    assert [await one.available() for one in (spender, saver)] == [15, 7]
    assert await ledger_differences(database) == []


async def test_the_journal_of_an_opening_that_gave_nothing_is_not_reversed(
    api, database, book
) -> None:
    """What was left of the day before lapsed in it, and stays lapsed."""
    await api.put("/api/v1/accounts/user-1", {})
    await apply_tiers(book, default_text().replace(FREE_GIVES, "daily_credits = 0\n"), "t", "t")
    await api.set_clock(NOW + DAY)
    acts = Acts(api)
    answer = await api.get("/api/v1/ledger/entries", kind="expiry")
    answer = await acts.reverse(answer.json()["data"][0]["journal_id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "not_reversible")
    assert await ledger_differences(database) == []


async def test_a_reversal_at_its_end_waits_for_the_chunk_that_a_tick_has_under_way(
    api, database, book, one_asleep
) -> None:
    run_id = await last_run(database)
    order = reversal_order(Policy.WRITE_OFF)
    begun = await reverse_run.reverse_run(book, run_id, order, dry_run=False, within_s=0)
    row = await database.fetchrow("SELECT * FROM reversals WHERE id = $1", begun.number)
    async with database.transaction():
        assert await reverse_run._chunk(book, row) == 1
    await apply_tiers(book, default_text())  # nobody is dormant any more

    async def opened() -> None:
        async with database.transaction():
            await run_due(database, book.catalogues, "tests", 20)
            opening.set()
            await waited.wait()

    opening, waited = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(opened())
    await opening.wait()
    taking = asyncio.create_task(reverse_run.resume(book, 60))
    while not await database.fetchval(WAITING):
        await asyncio.sleep(0.01)
    waited.set()
    await running
    await taking
    told = await find(database, begun.number or 0)
    assert (told.state, told.journal_count, told.clawed) == ("done", 2, 10)
    assert [await one.sides() for one in one_asleep] == [(0, 0, 0)] * 2


async def test_an_account_in_grace_is_looked_at_when_that_ends_though_its_day_is_taken_back(
    api, database, book
) -> None:
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    failed = NOW + timedelta(hours=1)
    await api.set_clock(failed)
    event = make_subscription_event("evt_2", "updated", failed, status="past_due", previous={})
    assert await api.deliver(event) == "applied"
    await api.set_clock(NOW + timedelta(days=7))
    run_id = await last_run(database)
    order = reversal_order(Policy.WRITE_OFF)
    told = await reverse_run.reverse_run(book, run_id, order, dry_run=False, within_s=60)
    assert (told.state, told.clawed) == ("done", 20)
    due_at = await database.fetchval("SELECT due_at FROM accounts")
    assert due_at == failed + timedelta(days=7)
    assert await ledger_differences(database) == []
