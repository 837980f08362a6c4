"""SIGKILL to any process of a running book loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.embedded.devbook import DevBook
from app.infrastructure.db import opened
from app.simulate.book_client import ANSWER_S_MAX, BookClient, connected
from app.simulate.demo import START, Run, people, play_run
from app.simulate.engine import Outcome
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.steps import Put, Spend, deliveries
from app.simulate.stripe_objects import ENTERPRISE_MONTHLY
from app.verify.verify import verify
from tests.faults.running_book import running

pytestmark = pytest.mark.timeout(120)

PATIENCE_S: Final = 40.0
RUN: Final = Run(1, START, resumed=False)
PEOPLE: Final = ("chiyo", "emil")  # out of order, an upgrade; failed payments, a late event


async def play(client: BookClient) -> Outcome:
    """Play two of the demo's customers, and compare them with what they must have."""
    played = [role for role in people(RUN) if role.customer.name in PEOPLE]
    assert len(played) == len(PEOPLE)
    return await play_run(client, RUN, played)


class Sabotage(httpx.AsyncBaseTransport):
    """A network on which something happens while the n-th request is under way."""

    def __init__(self, when: dict[int, Callable[[], object]]) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._when = when
        self.count = 0
        self.done: list[object] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on, and while it is under way do what is due."""
        self.count += 1
        act = self._when.get(self.count)
        if act is None:
            return await self._inner.handle_async_request(request)
        sent = asyncio.create_task(self._inner.handle_async_request(request))
        await asyncio.sleep(0.004)  # about when a transaction is under way
        self.done.append(act())
        return await sent

    async def aclose(self) -> None:
        await self._inner.aclose()


async def ends_as_undisturbed(book: DevBook, outcome: Outcome) -> bool:
    """The balances, the entries that carry them, and the ledger as a whole."""
    assert outcome.surprises == []
    assert [(one.account_id, one.wrong) for one in outcome.found] == [
        (f"{name}-1", False) for name in PEOPLE
    ]
    return await ledger_is_whole(book)


async def ledger_is_whole(book: DevBook) -> bool:
    async with opened(book.database_url) as database:
        differences = [text for check in await verify(database) for text in check.differences]
    assert differences == []
    return True


async def test_a_server_killed_in_the_middle_of_the_tape_ends_at_the_same_balances(
    folder: Path,
) -> None:
    with running(folder) as started:
        book = await asyncio.to_thread(started.wait)
        sabotage = Sabotage({25: started.kill_server, 70: started.kill_server})
        async with connected(book, patience_s=PATIENCE_S, transport=sabotage) as client:
            assert await ends_as_undisturbed(book, await play(client))
        assert len(sabotage.done) == 2
        assert all(sabotage.done), "each time there was a server to kill"
        assert sabotage.count > 70


class EndOfTheWorldError(Exception):
    """The whole book was killed under the client."""


async def test_a_book_killed_whole_and_started_again_ends_at_the_same_balances(
    folder: Path,
) -> None:
    def end_of_the_world() -> None:
        started.kill()
        raise EndOfTheWorldError

    with running(folder) as started:
        book = await asyncio.to_thread(started.wait)
        sabotage = Sabotage({45: end_of_the_world})
        async with connected(book, transport=sabotage) as client:
            with pytest.raises(EndOfTheWorldError):
                await play(client)
    with running(folder) as again:
        book = await asyncio.to_thread(again.wait)
        async with connected(book, patience_s=PATIENCE_S) as client:
            assert START < await client.now() < RUN.ends_at, "the clock stands where it stood"
            assert await ends_as_undisturbed(book, await play(client))


async def subscribed(client: BookClient, name: str) -> None:
    """An account with the most daily credits that there are: 50."""
    stripe = FakeSubscription("faults", name, ENTERPRISE_MONTHLY, START)
    put = Put(account_id=name, customer_id=stripe.customer_id)
    await client.put_account(put)
    for delivery in deliveries(stripe.subscribe(START)):
        await client.deliver(delivery)


async def spend(client: BookClient, account: str, key: str) -> bool:
    order = Spend(account_id=account, amount=1, key=key, reason="a fault")
    return await client.spend(order)


async def spent_keys(client: BookClient, account: str) -> list[str]:
    found = []
    query = {"account_id": account, "kind": "spend", "limit": "1000"}
    headers = {"Authorization": f"Bearer {client.book.keys.auditor}"}
    async with httpx.AsyncClient(base_url=client.book.base_url, trust_env=False) as http:
        answer = await http.get("/api/v1/ledger/entries", params=query, headers=headers)
        found += [entry["idempotency_key"] for entry in answer.json()["data"]]
        assert answer.json()["next_cursor"] is None
    return found


@pytest.mark.parametrize("victim", ["postgres", "server"])
async def test_what_dies_under_spends_loses_none_that_was_acknowledged_and_doubles_none(
    folder: Path, victim: str
) -> None:
    accounts = {"una": 45, "dos": 45, "tres": 45}
    with running(folder) as started:
        book = await asyncio.to_thread(started.wait)
        sabotage = Sabotage({60: getattr(started, f"kill_{victim}")})
        async with connected(book, patience_s=PATIENCE_S, transport=sabotage) as client:
            for name in accounts:
                await subscribed(client, name)

            async def spender(name: str, turn: int) -> list[str]:
                keys = [f"{name}-{number}" for number in range(turn, accounts[name], 3)]
                return [key for key in keys if await spend(client, name, key)]

            acknowledged = await asyncio.gather(
                *(spender(name, turn) for name in accounts for turn in range(3))
            )
            (killed,) = sabotage.done
            assert killed, "there was somebody to kill"
            for number, (name, count) in enumerate(accounts.items()):
                told = [*chain(*acknowledged[3 * number : 3 * number + 3])]
                assert sorted(await spent_keys(client, name)) == sorted(told)
                assert len(told) == count
                account = await client.account(name)
                assert account is not None
                assert account.available == 50 - count
        assert await ledger_is_whole(book)


async def test_spends_webhooks_and_the_daily_grants_go_on_without_redis(folder: Path) -> None:
    with running(folder) as started:
        book = await asyncio.to_thread(started.wait)
        async with connected(book, patience_s=5.0) as client:
            await subscribed(client, "una")
            # Its supervisor sleeps, so that nobody starts Redis again meanwhile.
            os.kill(started.process.pid, signal.SIGSTOP)
            assert started.kill_redis() == 1, "it is there, and once"
            assert await spend(client, "una", "key-1")
            await subscribed(client, "dos")
            await client.move_clock(START + timedelta(days=1, hours=1))
            for name in ("una", "dos"):
                account = await client.account(name)
                assert account is not None
                assert (account.tier, account.available) == ("ENTERPRISE", 50)
            assert await run_by_cron(book) == 200
            assert started.pids("valkey-server") == []
            os.kill(started.process.pid, signal.SIGCONT)
            assert await spend(client, "una", "key-2")
        assert await ledger_is_whole(book)


async def run_by_cron(book: DevBook) -> int:
    headers = {"Authorization": f"Bearer {book.cron_secret}"}
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_S_MAX) as http:
        answer = await http.post(f"{book.base_url}/api/cron/reset-credits", headers=headers)
    return answer.status_code
