"""The load: spends, holds, events and passing days; each act is repeated until it is answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import httpx

from app.embedded.devbook import DevBook
from app.simulate.book_client import BookClient
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.steps import Put, Spend, delivery
from app.simulate.stripe_objects import ENTERPRISE_MONTHLY, PRO_MONTHLY, JsonObject

PAUSE_S: Final = 0.02  # between the acts of one caller: a soak is long, not fast
ACCOUNT_WORDS: Final = "soak"


@dataclass
class Acknowledged:
    """Ids of all that was answered as done: they are looked for afterwards."""

    spends: dict[str, int] = field(default_factory=dict)  # key → amount
    refused: int = 0
    events: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)  # of each spend, repetitions included


class Counting(httpx.AsyncBaseTransport):
    """The network, counting what went wrong on it."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=32))
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []  # an answer of 500 is always a fault of ours

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on."""
        self.counts["calls"] += 1
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.TransportError:
            self.counts["calls without an answer"] += 1
            raise
        if response.status_code >= 500:
            self.counts[f"answers {response.status_code}"] += 1
        if response.status_code == 500:
            await response.aread()
            self.faults.append(f"{request.method} {request.url.path}: {response.text}")
        return response

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()


class Load:
    """All callers of the book; ``stop`` lets each finish the act that it has begun."""

    def __init__(self, book: DevBook, client: BookClient, accounts: int, begins_at: datetime):
        self.book = book
        self.done = Acknowledged()
        self.now = begins_at
        self._client = client
        self._stopped = False
        self._random = random.Random(1)  # noqa: S311 - the same load at every soak
        self._fakes = [
            FakeSubscription(ACCOUNT_WORDS, f"n{number}", PRO_MONTHLY, begins_at)
            for number in range(accounts)
        ]

    async def introduce(self) -> None:
        """Open every account, each with a subscription."""
        for fake in self._fakes:
            put = Put(account_id=fake.name, customer_id=fake.customer_id)
            await self._client.put_account(put)
            await self._send(fake.subscribe(self.now))
        await self._give(self._fakes[::2])

    async def _give(self, fakes: list[FakeSubscription]) -> None:
        """Grant credits for many spends; accounts without them are refused now and then."""
        headers = {"Authorization": f"Bearer {self.book.keys.operator}"}
        async with httpx.AsyncClient(
            base_url=self.book.base_url, headers=headers, trust_env=False
        ) as http:
            for fake in fakes:
                answer = await http.post(
                    f"/api/v1/accounts/{fake.name}/grants",
                    json={"amount": 10**6, "reason": "a soak"},
                    headers={"Idempotency-Key": f"soak-grant-{fake.name}"},
                )
                answer.raise_for_status()

    def stop(self) -> None:
        """Begin no new act."""
        self._stopped = True

    async def spend(self, caller: int) -> None:
        """Spend as one caller: one act after the other, each under a key of its own."""
        number = 0
        while not self._stopped:
            number += 1
            amount = self._random.randint(1, 2)
            account = self._random.choice(self._fakes).name
            key = f"soak-{caller}-{number}"
            spend = Spend(account_id=account, amount=amount, key=key, reason="a soak")
            began_s = time.monotonic()
            if await self._client.spend(spend):
                self.done.spends[key] = amount
            else:
                self.done.refused += 1
            self.done.seconds.append(time.monotonic() - began_s)
            await asyncio.sleep(PAUSE_S)

    async def subscribe(self, part: int, parts: int) -> None:
        """Play Stripe for some of the accounts: upgrades, downgrades, failed and paid invoices."""
        mine = self._fakes[part::parts]
        while not self._stopped:
            fake = self._random.choice(mine)
            at = self.now
            if fake.status == "past_due":
                events = fake.pay(at)
            elif self._random.random() < 0.2:
                events = fake.fail_payment(at)
            else:
                other = PRO_MONTHLY if fake.price is ENTERPRISE_MONTHLY else ENTERPRISE_MONTHLY
                events = fake.change_price(at, other)
            await self._send(self._random.sample(events, len(events)))
            await asyncio.sleep(5 * PAUSE_S)

    async def pass_time(self, until: datetime, seconds: float) -> None:
        """Let the book's clock reach ``until`` in so many seconds, a step each second."""
        step = (until - self.now) / max(1.0, seconds)
        while not self._stopped and self.now < until:
            self.now = min(until, self.now + step)
            await self._client.move_clock(self.now)
            await asyncio.sleep(1.0)

    async def _send(self, events: list[JsonObject]) -> None:
        for event in events:
            await self._client.deliver(delivery(event))
            self.done.events.add(str(event["id"]))
