"""Plays roles at a book as signed webhooks, and compares what came of them with what must."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from app.simulate.book_client import Account, BookClient
from app.simulate.cast import Role
from app.simulate.disorder import Disorder, Outgoing, disturbed, in_time
from app.simulate.expectation import Expected

WAVE: Final = 100  # lives that are told at one time where no clock has to be moved
BATCH: Final = 256  # events on their way between two moves of the clock
DIFFERENCES_SHOWN_MAX: Final = 20
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Difference:
    """One customer of whom the book says other than the expectation."""

    role: Role
    must: Expected
    account: Account | None


@dataclass
class Outcome:
    """What happened so far; complete where ``finished``."""

    verdicts: dict[str, Counter[str]] = field(default_factory=dict)  # by life cycle
    customers: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    compared_count: int = 0
    difference_count: int = 0
    differences: list[Difference] = field(default_factory=list)  # the first of them
    last_event_at: datetime | None = None
    book_now: datetime | None = None
    finished: bool = False

    @property
    def sent_count(self) -> int:
        """Deliveries that were answered."""
        return sum(counter.total() for counter in self.verdicts.values())


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How the roles are played; ``clock_at`` is None where the book's clock is not ours to move.

    ``reads`` is whether a key is at hand that may read accounts; ``available_told`` whether the
    expectation can tell credits, and not states and tiers alone.
    """

    disorder: Disorder
    concurrency: int
    seed: str
    clock_at: datetime | None
    ends_at: datetime | None
    reads: bool
    available_told: bool


Watch = Callable[[Outcome, datetime | None], None]


class Simulation:
    """One simulation; ``outcome`` is right at any moment, also where it was interrupted."""

    def __init__(self, client: BookClient, manner: Manner, watch: Watch) -> None:
        self.outcome = Outcome()
        self._client = client
        self._manner = manner
        self._clock_at = manner.clock_at
        self._watch = watch
        self._rng = random.Random(f"{manner.seed} order")  # noqa: S311 - it plays
        self._limit = asyncio.Semaphore(manner.concurrency)
        self._heard: set[int] = set()  # roles of the wave that sent anything

    async def run(self, roles: Iterator[Role]) -> None:
        """Play them all; raises PlayError where the book answers what it must not."""
        # A clock goes through every life at once; without one they may come after one another.
        size = WAVE if self._clock_at is None else None
        while wave := list(islice(roles, size)):
            await self._play(wave)
            await self._end_clock()
            if self._manner.reads:
                await self._compare([role for role in wave if id(role) in self._heard])
            self._heard.clear()
        self.outcome.finished = True

    async def _play(self, wave: Sequence[Role]) -> None:
        events = in_time(wave, self._count_customer)
        arriving = disturbed(events, self._manner.disorder, self._rng, self._count_dropped)
        batch: list[Outgoing] = []
        for event in arriving:
            if self._clock_at is not None and event.at > self._clock_at:
                await self._send(batch)
                batch = []
                await self._move_clock(event.at)
            batch.append(event)
            if len(batch) == BATCH:
                await self._send(batch)
                batch = []
        await self._send(batch)

    def _count_customer(self, role: Role) -> None:
        self.outcome.customers[role.life_cycle] += 1
        self._watch(self.outcome, self._clock_at)

    def _count_dropped(self, event: Outgoing) -> None:
        self._heard.add(id(event.role))
        self.outcome.dropped[event.role.life_cycle] += 1

    async def _move_clock(self, to: datetime) -> None:
        await self._client.move_clock(to)
        self._clock_at = to
        self._watch(self.outcome, to)

    async def _end_clock(self) -> None:
        ends_at = self._manner.ends_at
        if ends_at is None and self.outcome.last_event_at is not None:
            ends_at = self.outcome.last_event_at + _HOUR
        if self._clock_at is not None and ends_at is not None and ends_at > self._clock_at:
            await self._move_clock(ends_at)

    async def _send(self, batch: Sequence[Outgoing]) -> None:
        """A customer's events one after the other, customers beside one another."""
        by_role: dict[int, list[Outgoing]] = {}
        for event in batch:
            by_role.setdefault(id(event.role), []).append(event)
        self._heard.update(by_role)
        await _all([self._send_some(events) for events in by_role.values()])

    async def _send_some(self, events: Sequence[Outgoing]) -> None:
        async with self._limit:
            for event in events:
                verdict = await self._client.deliver(event.delivery)
                outcome = self.outcome
                outcome.verdicts.setdefault(event.role.life_cycle, Counter())[verdict] += 1
                outcome.last_event_at = max(outcome.last_event_at or event.at, event.at)
                self._watch(outcome, self._clock_at)

    async def _compare(self, roles: Sequence[Role]) -> None:
        now = self._clock_at or await self._book_now(roles)
        self.outcome.book_now = now
        # Where no account is known there is no now either, and every one of them is missing.
        at = now or self.outcome.last_event_at
        if at is not None:
            await _all([self._compare_one(role, at) for role in roles])

    async def _book_now(self, roles: Sequence[Role]) -> datetime | None:
        for role in roles:
            if (now := await self._client.now_at(role.account_id)) is not None:
                return now
        return None

    async def _compare_one(self, role: Role, now: datetime) -> None:
        async with self._limit:
            account = await self._client.account(role.account_id)
        must = role.expected.end(now)
        self.outcome.compared_count += 1
        if account is None or not self._agree(must, account):
            self.outcome.difference_count += 1
            if len(self.outcome.differences) < DIFFERENCES_SHOWN_MAX:
                self.outcome.differences.append(Difference(role, must, account))

    def _agree(self, must: Expected, account: Account) -> bool:
        states = {one.id: one.state for one in account.subscriptions}
        return (
            (account.tier, account.state) == (must.tier, must.state)
            and all(states.get(name) == state for name, state in must.subscriptions.items())
            and (not self._manner.available_told or account.available == must.available)
        )


async def _all(coroutines: Sequence[Coroutine[object, object, None]]) -> None:
    """Run them beside one another; the first of their errors, once all have ended."""
    for error in await asyncio.gather(*coroutines, return_exceptions=True):
        if error is not None:
            raise error
