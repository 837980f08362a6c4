"""Lists reach to the horizon: nothing below it can still commit, so nothing is ever skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.horizon import Horizon, Horizons
from app.errors import BusyError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger import post
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft, Sheet
from tests.api_client import Api
from tests.conftest import NOW, Server, open_database

ENTRIES = "/api/v1/ledger/entries"
ACCOUNTS = [f"user-{number}" for number in range(6)]


async def locked(database: Database, account: str) -> Sheet:
    """The account's sheet, its row locked by the transaction that the caller is in."""
    number = await database.fetchval("SELECT id FROM accounts WHERE external_id = $1", account)
    return (await post.lock(database, [number]))[number].sheet


async def spend_one(database: Database, sheet: Sheet) -> None:
    journal = JournalDraft(Act.SPEND, "tests", "tests", sheet.now)
    sheet.spend(sheet.begin(journal), 1, None)
    await post.write(database, [sheet])


@asynccontextmanager
async def early_id_late_commit(url: str, account: str) -> AsyncIterator[None]:
    """A writer that drew its entry's id when the block began and commits when it ends."""
    async with open_database(url, 1) as database, database.transaction():
        await spend_one(database, await locked(database, account))
        yield


async def page(api: Api, **query: object) -> dict[str, Any]:
    while True:
        answer = await api.get(ENTRIES, **query)
        if answer.status_code != 503:
            assert answer.status_code == 200, answer.text
            return answer.json()


async def followed(api: Api, **query: object) -> list[dict[str, Any]]:
    found = []
    while True:
        told = await page(api, **query)
        found += told["data"]
        if told["next_cursor"] is None:
            return found
        query["cursor"] = told["next_cursor"]


async def grown(api: Api, count: int) -> list[dict[str, Any]]:
    """The list once it has so many more; a horizon that was held up for long is asked again."""
    async with asyncio.timeout(30):
        while len(found := await followed(api)) < count:
            await asyncio.sleep(0.01)
    return found


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in entries]


@pytest.fixture
async def accounts(api: Api) -> list[str]:
    for account in ACCOUNTS:
        await api.put(f"/api/v1/accounts/{account}", {})
    return ACCOUNTS


@pytest.mark.usefixtures("accounts")
async def test_what_stands_above_an_open_writers_id_waits_for_it(api: Api, server: Server) -> None:
    before = await followed(api)
    async with early_id_late_commit(server.application_url, "user-0"):
        assert (await api.spend("user-1", 1, "key-1")).status_code == 201
        assert await followed(api) == before, "the second spend has a higher id than the open one"
    after = await grown(api, len(before) + 2)
    assert [e["account_id"] for e in after[len(before) :]] == ["user-0", "user-1"]


@pytest.mark.usefixtures("accounts")
async def test_a_writer_younger_than_all_that_committed_is_waited_for_too(
    api: Api, server: Server
) -> None:
    # The older transaction draws the higher id and commits first: the younger one is then beyond
    # the snapshot's xmax, which is only the youngest that committed, plus one.
    before = await followed(api)
    async with open_database(server.application_url, 1) as database:
        async with AsyncExitStack() as younger:
            async with database.transaction():
                sheet = await locked(database, "user-1")
                await younger.enter_async_context(
                    early_id_late_commit(server.application_url, "user-0")
                )
                await spend_one(database, sheet)
            assert await followed(api) == before
        after = await grown(api, len(before) + 2)
    assert [e["account_id"] for e in after[len(before) :]] == ["user-0", "user-1"]


@pytest.mark.usefixtures("accounts")
async def test_a_writer_that_gives_up_leaves_a_gap_and_no_more(api: Api, server: Server) -> None:
    before = await followed(api)

    async def gives_up() -> None:
        async with early_id_late_commit(server.application_url, "user-0"):
            await api.spend("user-1", 1, "key-1")
            raise LookupError

    with pytest.raises(LookupError):
        await gives_up()
    after = await grown(api, len(before) + 1)
    assert [e["account_id"] for e in after[len(before) :]] == ["user-1"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.usefixtures("accounts", "patient_horizon")
async def test_pages_neither_skip_nor_repeat_while_writers_go_on(
    api: Api, server: Server, order: str
) -> None:
    stop = asyncio.Event()

    async def spender(account: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await api.spend(account, 1, f"{account}-{number}")
            await api.put(f"/api/v1/accounts/{account}-{number}", {})

    async def straggler() -> None:
        while not stop.is_set():
            async with early_id_late_commit(server.application_url, "user-0"):
                await asyncio.sleep(0.15)

    writers = [asyncio.create_task(spender(account)) for account in ACCOUNTS[1:3]]
    writers.append(asyncio.create_task(straggler()))
    walks = [await followed(api, order=order, limit=7) for _ in range(4)]
    stop.set()
    done = await asyncio.gather(*writers, return_exceptions=True)
    assert [e for e in done if e and "needed" not in str(e)] == [], "5 credits run out, no more"
    final = await followed(api)
    for walk in walks:
        seen = sorted(ids(walk))
        assert ids(walk) == (seen if order == "asc" else seen[::-1])
        assert len(set(seen)) == len(seen)
        assert seen == [one for one in ids(final) if one <= seen[-1]], "none was skipped"
    assert len(walks[0]) < len(final)


async def balance(api: Api, account: str, as_of: str) -> int:
    while True:
        answer = await api.get(f"/api/v1/accounts/{account}/balance", as_of=as_of)
        if answer.status_code != 503:
            assert answer.status_code == 200, answer.text
            return int(answer.json()["balance"])


async def straggle(server: Server, seconds: float) -> None:
    async with early_id_late_commit(server.application_url, "user-0"):
        await asyncio.sleep(seconds)


@pytest.mark.usefixtures("accounts", "patient_horizon")
async def test_as_of_complete_to_never_changes_while_writers_go_on(
    api: Api, server: Server, database: Database
) -> None:
    await clock.run_on(database)
    told = []
    for turn in range(4):
        spends = [api.spend(account, 1, f"{account}-{turn}") for account in ACCOUNTS[1:]]
        writers = [asyncio.create_task(work) for work in (straggle(server, 0.1), *spends)]
        for account in ACCOUNTS[:3]:
            complete_to = (await page(api, limit=1))["complete_to"]
            told.append((account, complete_to, await balance(api, account, complete_to)))
        await asyncio.gather(*writers)
    assert len({stood for account, _, stood in told if account == "user-0"}) > 1
    for account, at, stood in told:
        assert await balance(api, account, at) == stood, (account, at)


@pytest.mark.usefixtures("accounts", "patient_horizon")
async def test_under_a_standing_clock_more_at_the_same_instant_changes_no_answer(
    api: Api,
) -> None:
    complete_to = (await page(api))["complete_to"]
    assert datetime.fromisoformat(complete_to) < NOW, "at NOW itself more may come"

    assert await balance(api, "user-1", complete_to) == 0
    await api.spend("user-1", 3, "key-1")
    assert await balance(api, "user-1", complete_to) == 0
    await api.set_clock(NOW + timedelta(minutes=1))
    complete_to = (await page(api))["complete_to"]
    assert NOW <= datetime.fromisoformat(complete_to) < NOW + timedelta(minutes=1)
    assert await balance(api, "user-1", complete_to) == 2


async def test_a_reader_who_knows_no_horizon_is_told_to_come_again(
    server: Server, database: Database, api: Api
) -> None:
    await api.put("/api/v1/accounts/user-0", {})
    horizons = Horizons()
    async with early_id_late_commit(server.application_url, "user-0"):
        with pytest.raises(BusyError) as refused:
            await horizons.find(database)
    assert refused.value.retryable
    horizon = await found(horizons, database)
    async with early_id_late_commit(server.application_url, "user-0"):
        assert await horizons.find(database) == horizon, "the last one known still holds"


async def found(horizons: Horizons, database: Database) -> Horizon:
    while True:
        try:
            return await horizons.find(database)
        except BusyError:
            continue


async def test_an_empty_ledger_is_complete_too(database: Database) -> None:
    horizon = await found(Horizons(), database)
    assert horizon.entry_id == 0
    assert horizon.complete_to == NOW - timedelta.resolution
    assert horizon.complete_to.tzinfo is UTC


@pytest.mark.usefixtures("accounts")
async def test_complete_to_lies_before_a_writer_that_read_the_clock_before_the_floor_was_raised(
    database: Database, server: Server
) -> None:
    """It draws its id after the horizon did, and records what it read."""
    async with open_database(server.application_url, 1) as writer:
        async with writer.transaction():
            sheet = await locked(writer, "user-0")
            await clock.stand(database, NOW + timedelta(minutes=1))
            finding = asyncio.create_task(Horizons().find(database))
            await asyncio.sleep(0.2)
            await spend_one(writer, sheet)
        horizon = await finding
    (entry,) = await database.fetch("SELECT * FROM entries WHERE kind = 'spend'")
    assert (entry["id"] > horizon.entry_id, entry["recorded_at"]) == (True, NOW)
    assert horizon.complete_to < NOW
