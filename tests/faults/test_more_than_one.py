"""Two servers, two workers, PgBouncer, a synchronous replica; the primary is killed under load."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest

from app.accounts import apply_catalogue
from app.accounts.put import put
from app.allowance.catalogue import default_text
from app.book import Book
from app.infrastructure import clock
from app.infrastructure.db import opened
from app.infrastructure.ids import ENTRY, JOURNAL, public
from app.operators import keys
from app.operators.keys import Scope
from app.verify.verify import verify
from tests import pooler
from tests.conftest import PEPPER
from tests.pooler import Pooler, pooling
from tests.served_book import served
from tests.streaming import PASSWORDS, Streaming, streaming

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(pooler.PROGRAM is None, reason=pooler.ABSENT),
]

SPENDERS: Final = 6
SLEEPERS: Final = 400  # accounts of which nothing but the day is due
ACKNOWLEDGED_MIN: Final = 20  # by each spender, before the kill and after it
CREDITS: Final = 100_000
LIMIT_S: Final = 60.0
FIRST: Final = "2000-01-01T00:00:00.000000Z"
Variables = Mapping[str, str]


class RetryableError(Exception):
    """An answer or a broken connection that says: ask again."""


class Load:
    """Spends under way, and what was acknowledged of them: the key of each, and the answer."""

    def __init__(self, client: httpx.AsyncClient, urls: list[str], token: str) -> None:
        self._client = client
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}
        self.acknowledged: list[dict[str, dict[str, Any]]] = [{} for _ in range(SPENDERS)]
        self.refused = 0  # answers and broken connections that said: try again
        self.wanted: int | None = None  # how many each is to have before it ends

    async def spend(self, number: int) -> None:
        """Spend again and again, each under a key of its own that is tried until it is answered."""
        mine = self.acknowledged[number]
        for each in itertools.count():
            if self.wanted is not None and len(mine) >= self.wanted:
                return
            key = f"{number}-{each}"
            while key not in mine:
                answer = await self._try(number, key)
                if answer is None:
                    self.refused += 1
                    await asyncio.sleep(0.02)
                else:
                    mine[key] = answer

    async def _try(self, number: int, key: str) -> dict[str, Any] | None:
        try:
            answer = await self._client.post(
                f"{self._urls[number % len(self._urls)]}/api/v1/accounts/spender-{number}/spends",
                json={"amount": 1},
                headers={**self._headers, "Idempotency-Key": key},
            )
        except httpx.TransportError:
            return None
        if answer.status_code == 201:
            return answer.json()  # type: ignore[no-any-return]
        assert answer.json()["retryable"], answer.text
        return None

    async def reaches(self, count: int) -> None:
        """Wait until each spender has so many acknowledged."""
        while min(map(len, self.acknowledged)) < count:
            await asyncio.sleep(0.02)


class Follower:
    """Copies entries while they are written, each time those up to what is said to be complete."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str) -> None:
        self._client = client
        self._url = f"{url}/api/v1/ledger/entries"
        self._headers = {"Authorization": f"Bearer {token}"}
        self.copied: list[str] = []
        self.until = FIRST
        self.ended = False

    async def follow(self) -> None:
        """Copy window after window; the last begins after `ended` was set."""
        while True:
            last = self.ended
            try:
                told = await self._page(limit=1)
                window = await self._window(self.until, told["complete_to"])
            except RetryableError:
                last = False
            else:
                assert told["complete_to"] >= self.until, "what is complete stays so"
                self.copied += window
                self.until = told["complete_to"]
            if last:
                return
            await asyncio.sleep(0.05)

    async def _window(self, start: str, end: str) -> list[str]:
        found: list[str] = []
        given: dict[str, Any] = {"recorded_from": start, "recorded_to": end, "limit": 1000}
        while True:
            told = await self._page(**given)
            found += [entry["id"] for entry in told["data"]]
            if told["next_cursor"] is None:
                return found
            given["cursor"] = told["next_cursor"]

    async def _page(self, **given: Any) -> dict[str, Any]:
        try:
            answer = await self._client.get(self._url, params=given, headers=self._headers)
        except httpx.TransportError as error:
            raise RetryableError from error
        if answer.status_code != 200:
            assert answer.json()["retryable"], answer.text
            raise RetryableError
        return answer.json()  # type: ignore[no-any-return]


@asynccontextmanager
async def working(variables: Variables, log: Path) -> AsyncIterator[None]:
    """A `tallybook worker` for the length of a block."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "worker"), env=variables, stdout=said, stderr=said
        )
    try:
        yield
        assert process.returncode is None, log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def prepare(both: Streaming) -> dict[Scope, str]:
    """Catalogue, keys and accounts of yesterday, and a clock that runs on a day later."""
    async with opened(both.primary.owner_url) as owner:
        await apply_catalogue.apply(Book(owner), default_text(), "tiers.toml", "tests")
        tokens = {scope: await keys.create(owner, PEPPER, scope, [scope]) for scope in Scope}
    async with opened(both.primary.application_url, 8) as database:
        book, now = Book(database), datetime.now(UTC)
        await clock.stand(database, now - timedelta(days=1))
        names = [f"spender-{number}" for number in range(SPENDERS)]
        names += [f"sleeper-{number}" for number in range(SLEEPERS)]
        await asyncio.gather(*(put(book, name, None, None, "tests") for name in names))
        await clock.stand(database, now)
        await clock.run_on(database)
    return tokens


def variables_of(database_url: str, both: Streaming) -> dict[str, str]:
    """The settings of a server or a worker that goes to the book by this address."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "DATABASE_URL": database_url,
        "DATABASE_REPLICA_URL": both.standby.application_url,
        "STRIPE_WEBHOOK_SECRET": "whsec_of_the_tests_0000",
        "TALLYBOOK_KEY_PEPPER": PEPPER,
        "TALLYBOOK_ENV": "development",
        "TALLYBOOK_POOL_SIZE_MAX": "4",
        "TALLYBOOK_LOG_LEVEL": "WARNING",
    }


def of_either(both: Streaming) -> str:
    """The address of whichever server takes writes, as libpq and asyncpg know it."""
    login, _, path = both.primary.application_url.rpartition("@")
    standby = both.standby.application_url.rpartition("@")[2]
    host, _, database = path.partition("/")
    other, _, _ = standby.partition("/")
    return f"{login}@{host},{other}/{database}?target_session_attrs=read-write"


async def some_day_is_opened(both: Streaming) -> None:
    """Wait until the workers have opened days, and not all."""
    count = "SELECT count(*) FROM daily_grants WHERE run_id IS NOT NULL"
    while not await both.on_primary(count):
        await asyncio.sleep(0.02)


async def fail_over(both: Streaming, pool: Pooler) -> None:
    """SIGKILL to the primary; its standby takes its place, and the pooler is told.

    A spender's account is locked before: a spend that is under way waits there, and is cut off.
    """
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with opened(both.primary.owner_url) as owner:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            async with owner.transaction():
                await owner.execute(
                    "SELECT id FROM accounts WHERE external_id = 'spender-0' FOR UPDATE"
                )
                while not await both.on_primary(waits):
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(both.primary.kill)
    assert await both.on_standby("SELECT pg_promote()")
    pool.lead_to(port_of(both.standby.application_url))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


async def test_nothing_acknowledged_is_lost_with_the_primary(folder: Path) -> None:
    async with AsyncExitStack() as stack:
        both = await stack.enter_async_context(streaming(folder, environment="development"))
        await both.wait_for_standby()
        tokens = await prepare(both)
        pool = stack.enter_context(
            pooling(folder / "pooler", PASSWORDS.application, port_of(both.primary.application_url))
        )
        ways = [variables_of(url, both) for url in (pool.url, of_either(both))]
        urls = await asyncio.gather(*(stack.enter_async_context(served(each)) for each in ways))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        await fill(client, urls[0], tokens[Scope.OPERATOR])

        load = Load(client, urls, tokens[Scope.SERVICE])
        follower = Follower(client, urls[1], tokens[Scope.AUDITOR])
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
            for number in range(SPENDERS):
                tasks.create_task(load.spend(number))
            tasks.create_task(follower.follow())
            await load.reaches(ACKNOWLEDGED_MIN)
            for number, each in enumerate(ways):
                await stack.enter_async_context(working(each, folder / f"worker-{number}"))
            await some_day_is_opened(both)
            await fail_over(both, pool)
            before = [len(mine) for mine in load.acknowledged]
            load.wanted = max(before) + ACKNOWLEDGED_MIN
            await load.reaches(load.wanted)
            await all_days_are_opened(both)
            follower.ended = True
        assert load.refused, "it was killed under load"
        await is_whole(both, load, follower)


async def fill(client: httpx.AsyncClient, url: str, token: str) -> None:
    """Give each spender enough to spend."""
    for number in range(SPENDERS):
        answer = await client.post(
            f"{url}/api/v1/accounts/spender-{number}/grants",
            json={"amount": CREDITS, "reason": "a test"},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"fill-{number}"},
        )
        assert answer.status_code == 201, answer.text


async def all_days_are_opened(both: Streaming) -> None:
    """Wait until the workers have done the day's rest on the new primary."""
    due = "SELECT count(*) FROM accounts WHERE due_at <= tallybook_now()"
    while await both.on_standby(due):
        await asyncio.sleep(0.1)


async def is_whole(both: Streaming, load: Load, follower: Follower) -> None:
    """Each spend that was acknowledged is there once, each day once, and all of it adds up."""
    async with opened(both.standby.application_url) as database:
        rows = await database.fetch(
            """SELECT journals.id, idempotency_key, sum(amount) AS amount
                 FROM journals JOIN entries ON entries.journal_id = journals.id
                WHERE journals.kind = 'spend' GROUP BY journals.id"""
        )
        found = {row["idempotency_key"]: row for row in rows}
        assert len(found) == len(rows), "no key twice"
        for mine in load.acknowledged:
            for key, answer in mine.items():
                assert public(JOURNAL, found[key]["id"]) == answer["id"]
                assert found[key]["amount"] == answer["amount"] == 1
        openings = await database.fetch(
            """SELECT account_id FROM daily_grants
                GROUP BY account_id, day_on HAVING count(*) > 1"""
        )
        assert openings == []
        unordered = await database.fetch(
            """SELECT id FROM (
                   SELECT id, recorded_at, max(recorded_at) OVER (
                              PARTITION BY account_id ORDER BY id) AS latest FROM entries) AS each
                WHERE recorded_at < latest"""
        )
        assert unordered == []
        until = datetime.fromisoformat(follower.until)
        all_ids = await database.fetch(
            "SELECT id FROM entries WHERE recorded_at < $1 ORDER BY id", until
        )
        assert sorted(follower.copied) == sorted(public(ENTRY, row["id"]) for row in all_ids)
        assert len(set(follower.copied)) == len(follower.copied)
        differences = [text for check in await verify(database) for text in check.differences]
        assert differences == []
