"""Play roles at a book over HTTP, and compare the results with the expectation."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from app.simulate.book_client import Account, BookClient
from app.simulate.disorder import Disorder, Outgoing, disturbed, in_time
from app.simulate.expectation import ANY, Expected
from app.simulate.roles import Role
from app.simulate.steps import Close, Delivery, Put, Spend, Use

WAVE: Final = 100  # stories that are told at one time if no clock has to be moved
BATCH: Final = 256  # acts on their way between two moves of the clock
DIFFERENCES_KEPT_MAX: Final = 20
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Posted:
    """The sums of an account's entries."""

    by_kind: Counter[str]
    change: int
    entry_count: int


@dataclass(frozen=True)
class Found:
    """An account as it must be (None: there must be none) and as it is.

    ``posted`` is None where its entries were not read.
    """

    role: Role
    account_id: str
    must: Expected | None
    is_: Expected | None
    account: Account | None
    posted: Posted | None

    @property
    def unbalanced(self) -> bool:
        """Return whether the entries do not carry the balance."""
        both = self.account is not None and self.posted is not None
        return both and self.posted.change != self.account.balance  # type: ignore[union-attr]

    @property
    def wrong(self) -> bool:
        """Return whether anything is not as it must be."""
        unwanted = self.must is None and self.account is not None
        return unwanted or self.must != self.is_ or self.unbalanced


@dataclass
class Outcome:
    """The result so far; complete where ``finished``.

    ``found`` has the accounts that differ, the first of them, or all whose entries were read.
    """

    verdicts: dict[str, Counter[str]] = field(default_factory=dict)  # by scenario
    customers: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    spend_count: int = 0
    use_count: int = 0  # holds, captures, extensions, releases, returns
    refused_count: int = 0
    surprises: list[str] = field(default_factory=list)  # what ended against the rules
    compared_count: int = 0
    difference_count: int = 0
    found: list[Found] = field(default_factory=list)
    last_event_at: datetime | None = None
    finished: bool = False

    @property
    def verdict_counts(self) -> Counter[str]:
        """The deliveries that were answered, by verdict."""
        return sum(self.verdicts.values(), Counter[str]())


@dataclass(frozen=True, kw_only=True)
class Manner:
    """The way in which the roles are played; ``clock_at`` is None if the book's clock is not ours
    to move.

    ``reads`` is whether a key is at hand that may read accounts, ``reads_ledger`` whether their
    entries are compared too, which takes acts in order; ``tells_credits`` is whether the
    expectation can tell credits, and not states and tiers alone.
    """

    clock_at: datetime | None
    ends_at: datetime | None
    disorder: Disorder = field(default_factory=Disorder)
    concurrency: int = 1
    seed: str = ""
    reads: bool = True
    reads_ledger: bool = False
    tells_credits: bool = True


# Called with the act that was done last, or with None after a move of the clock.
Watch = Callable[[Outcome, datetime | None, Outgoing | None], None]


class Engine:
    """Plays roles; ``outcome`` is right at any moment, also after an interruption.

    Whatever was played before is sent again and changes nothing: events are duplicates, spends
    are replays, and the clock moves forward only.
    """

    def __init__(self, client: BookClient, manner: Manner, watch: Watch = lambda *_: None) -> None:
        self.outcome = Outcome()
        self._client = client
        self._manner = manner
        self._clock_at = manner.clock_at  # this process alone moves it
        self._watch = watch
        self._rng = random.Random(f"{manner.seed} order")  # noqa: S311 - it plays
        self._limit = asyncio.Semaphore(manner.concurrency)
        self._heard: set[Role] = set()  # those of the wave who did anything

    async def run(self, roles: Iterator[Role]) -> Outcome:
        """Play them all; raise PlayError if the book answers what it must not."""
        # A clock goes through every story at once; without one they may come after one another.
        size = WAVE if self._clock_at is None else None
        while wave := list(islice(roles, size)):
            await self._play(wave)
            await self._end_clock()
            if self._manner.reads:
                await self._compare([role for role in wave if role in self._heard])
            self._heard.clear()
        self.outcome.finished = True
        return self.outcome

    async def _play(self, wave: Sequence[Role]) -> None:
        acts = in_time(wave, self._count_customer)
        batch: list[Outgoing] = []
        for one in disturbed(acts, self._manner.disorder, self._rng, self._count_dropped):
            ahead = self._clock_at is not None and one.at > self._clock_at
            if ahead or len(batch) == BATCH:
                await self._send(batch)
                batch = []
            if ahead:
                await self._move_clock(one.at)
            batch.append(one)
        await self._send(batch)

    def _count_customer(self, role: Role) -> None:
        self.outcome.customers[role.scenario] += 1

    def _count_dropped(self, one: Outgoing) -> None:
        self._heard.add(one.role)
        self.outcome.dropped[one.role.scenario] += 1

    async def _move_clock(self, to: datetime) -> None:
        await self._client.move_clock(to)
        self._clock_at = to
        self._watch(self.outcome, to, None)

    async def _end_clock(self) -> None:
        ends_at = self._manner.ends_at
        if ends_at is None and self.outcome.last_event_at is not None:
            ends_at = self.outcome.last_event_at + _HOUR
        if self._clock_at is not None and ends_at is not None and ends_at > self._clock_at:
            await self._move_clock(ends_at)

    async def _send(self, batch: Sequence[Outgoing]) -> None:
        """Do a customer's acts one after the other, customers beside one another."""
        by_role: dict[Role, list[Outgoing]] = {}
        for one in batch:
            by_role.setdefault(one.role, []).append(one)
        self._heard.update(by_role)
        await _all([self._send_some(acts) for acts in by_role.values()])

    async def _send_some(self, acts: Sequence[Outgoing]) -> None:
        async with self._limit:
            for one in acts:
                await self._do(one)
                self._watch(self.outcome, self._clock_at, one)

    async def _do(self, one: Outgoing) -> None:
        match one.act:
            case Delivery() as delivery:
                verdict = await self._client.deliver(delivery)
                outcome = self.outcome
                outcome.verdicts.setdefault(one.role.scenario, Counter())[verdict] += 1
                outcome.last_event_at = max(outcome.last_event_at or one.at, one.at)
            case Put() as put:
                await self._client.put_account(put)
            case Close(account_id=account_id):
                await self._client.close_account(account_id)
            case Spend() as spend:
                await self._spend(spend, one)
            case use:
                await self._use(use, one)

    async def _spend(self, spend: Spend, one: Outgoing) -> None:
        granted = not (self._is_past(one) and spend.refused) and await self._client.spend(spend)
        self.outcome.spend_count += granted
        self.outcome.refused_count += not granted
        if granted is spend.refused:
            self._be_surprised(one, "granted" if granted else "refused")

    async def _use(self, use: Use, one: Outgoing) -> None:
        if use.refused and self._is_past(one):
            return
        refused = await self._client.use(use)
        self.outcome.use_count += refused is None
        self.outcome.refused_count += refused is not None
        if refused != use.refused:
            must = f"must be {use.refused or 'granted'}"
            self._be_surprised(one, f"{refused or 'granted'}, {must}")

    def _is_past(self, one: Outgoing) -> bool:
        """Return whether its time is over.

        A refusal is not stored: its key might be granted later.
        """
        return self._clock_at is not None and one.at < self._clock_at

    def _be_surprised(self, one: Outgoing, what: str) -> None:
        self.outcome.surprises.append(f"{one.at:%Y-%m-%d %H:%M}  {one.story}: {what}")

    async def _compare(self, roles: Sequence[Role]) -> None:
        accounts = [(role, name) for role in roles for name in role.customer.accounts]
        now = self._clock_at or await self._book_now(accounts)
        # If no account is known there is no now either, and every one of them is missing.
        at = now or self.outcome.last_event_at
        if at is not None:
            await _all([self._compare_one(role, name, at) for role, name in accounts])

    async def _book_now(self, accounts: Sequence[tuple[Role, str]]) -> datetime | None:
        for _, name in accounts:
            if (now := await self._client.now_at(name)) is not None:
                return now
        return None

    async def _compare_one(self, role: Role, account_id: str, now: datetime) -> None:
        async with self._limit:
            account = await self._client.account(account_id)
            reads_ledger = account is not None and self._manner.reads_ledger
            posted = await self._posted(account_id) if reads_ledger else None
        expected = role.customer.accounts[account_id]
        must = None if expected is None else expected.end(now)
        is_ = None
        if must is not None and account is not None:
            is_ = as_it_is(must, account, posted, credits=self._manner.tells_credits)
        found = Found(role, account_id, must, is_, account, posted)
        self.outcome.compared_count += 1
        self.outcome.difference_count += found.wrong
        few = len(self.outcome.found) < DIFFERENCES_KEPT_MAX
        if (found.wrong or self._manner.reads_ledger) and few:
            self.outcome.found.append(found)

    async def _posted(self, account_id: str) -> Posted:
        by_kind: Counter[str] = Counter()
        change = count = 0
        async for entry in self._client.entries(account_id):
            by_kind[entry.kind] += entry.amount
            change += entry.change
            count += 1
        return Posted(by_kind, change, count)


def as_it_is(must: Expected, account: Account, posted: Posted | None, *, credits: bool) -> Expected:
    """Return what is, in the words of what must be; a part that is not compared stays as it was."""
    is_ = replace(
        must,
        tier=account.tier,
        state=account.state,
        available=account.available if credits else must.available,
        customer_id=ANY if must.customer_id == ANY else account.stripe_customer_id,
        subscriptions={one.id: one.state for one in account.subscriptions},
        ends={one.id: one.cancel_at for one in account.subscriptions if one.id in must.ends},
    )
    if posted is None:
        return is_
    kinds = posted.by_kind
    return replace(is_, granted=kinds["grant"], spent=kinds["spend"], expired=kinds["expiry"])


async def _all(coroutines: Sequence[Coroutine[object, object, None]]) -> None:
    """Run them beside one another; raise the first of their errors once all have ended."""
    for error in await asyncio.gather(*coroutines, return_exceptions=True):
        if error is not None:
            raise error
