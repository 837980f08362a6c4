"""Concurrent spends share transactions, and no account waits for another.

While one transaction is under way, the spends that arrive meanwhile gather, and form the next. A
spend that finds nobody waiting goes alone and at once. An account is in one group at a time, with
all that waits for it, so that a hot account is no bottleneck.

A group takes the accounts that it can lock at once. One that somebody else has locked (a webhook,
another process, one that was frozen) leaves the group, and is waited for in a lane of its own: on
one of a few connections that block, or by trying again. Its callers are told to try again five
seconds after they came, whatever stands before them.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import asyncpg
import structlog

from app.book import Book
from app.errors import BusyError, KeyInFlightError, TallybookError
from app.infrastructure.db import Patience
from app.infrastructure.engine import waiting_for_locks
from app.spending.orders import AccountTaken, Result, SpendOrder, Spent
from app.spending.plain import spend_plain
from app.spending.spend import spend_by_sheet

log = structlog.get_logger(__name__)

GROUP_ORDERS_MAX: Final = 100
DRAINS_MAX: Final = 3  # transactions of groups at once in one process
BATCHES_MAX: Final = 2  # and of batches, each of up to a thousand spends
LANES_MAX: Final = 3  # and of accounts that are waited for
WAITING_MAX: Final = 20_000
WAITING_OF_ACCOUNT_MAX: Final = 2_000
WAIT_S: Final = 5.0  # the contract: one in flight is waited for, 5 s at most
LANE_WAIT_S: Final = 1.0  # then the lane is another account's turn
RETRY_S: Final = 0.1  # until an account that found no lane is tried again

CONNECTIONS: Final = DRAINS_MAX + BATCHES_MAX + LANES_MAX
# Connections of spends wait for hardly any lock, and a process that stops answering in the middle
# of a transaction, a frozen machine, keeps its rows no longer than its callers would wait.
PATIENCE: Final = Patience(lock_ms=20, statement_ms=10_000, idle_in_transaction_ms=3_000)

Outcome = Spent | TallybookError


@dataclass(slots=True, eq=False)
class _Waiting:
    """An order that waits for its outcome, at most until ``ends_at`` of the loop's clock."""

    order: SpendOrder
    future: asyncio.Future[Outcome]
    ends_at: float
    alone: bool = False  # it failed its group


class SpendQueue:
    """Gathers the spends of one process."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._ready: dict[str, None] = {}  # accounts that wait and are not under way, in order
        self._under_way: set[str] = set()
        self._count = 0
        self._drains: set[asyncio.Task[None]] = set()
        self._lanes: set[asyncio.Task[None]] = set()
        self._batches = asyncio.Semaphore(BATCHES_MAX)
        self._begun_at: dict[asyncio.Task[Any], float] = {}

    async def spend(self, order: SpendOrder) -> Outcome:
        """Carry out the order together with those that wait; its result or its refusal.

        Raises what asyncpg raises when the database is away: nothing was acknowledged then.
        """
        waiting = self._waiting.setdefault(order.account_id, deque())
        if self._count >= WAITING_MAX or len(waiting) >= WAITING_OF_ACCOUNT_MAX:
            return BusyError("Too many spends are waiting; try again with the same key.")
        loop = asyncio.get_running_loop()
        one = _Waiting(order, loop.create_future(), loop.time() + WAIT_S)
        waiting.append(one)
        self._count += 1
        if len(waiting) == 1 and order.account_id not in self._under_way:
            self._ready[order.account_id] = None
        self._wake()
        timer = loop.call_at(one.ends_at, self._give_up, one)
        try:
            return await one.future
        finally:
            timer.cancel()

    async def batch(self, orders: Sequence[SpendOrder]) -> list[Outcome]:
        """Carry out many orders together, a result for each, in order.

        Those of accounts that somebody else has locked wait in the queue like any other.
        """
        async with self._batches:
            outcomes: list[Outcome | None] = [*await self._plain(orders)]
            rest = [number for number, outcome in enumerate(outcomes) if outcome is None]
            results: Sequence[Result] = []
            if rest:
                try:
                    results = await spend_by_sheet(self._book, [orders[number] for number in rest])
                except _CONCERN_ONE:
                    results = [AccountTaken()] * len(rest)
        taken = []
        for number, result in zip(rest, results, strict=True):
            if isinstance(result, AccountTaken):
                taken.append(number)
            else:
                outcomes[number] = result
        waited = await asyncio.gather(*(self.spend(orders[number]) for number in taken))
        for number, outcome in zip(taken, waited, strict=True):
            outcomes[number] = outcome
        return cast("list[Outcome]", outcomes)

    def stalled_s(self) -> float:
        """Return how long the oldest group has been under way, in seconds."""
        now = asyncio.get_running_loop().time()
        return max((now - at for at in self._begun_at.values()), default=0.0)

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._waiting:
            await asyncio.wait({*self._drains, *self._lanes, _pause()})

    def _give_up(self, one: _Waiting) -> None:
        """Answer an order that waited its time, unless it is being carried out just now."""
        waiting = self._waiting.get(one.order.account_id)
        if waiting is None or one not in waiting:
            return
        waiting.remove(one)
        self._count -= 1
        _answer(one, KeyInFlightError(_TAKEN))

    def _wake(self) -> None:
        if self._ready and len(self._drains) < DRAINS_MAX:
            self._start(self._drain(), self._drains)

    def _start(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        # A context of its own: a drain belongs to no request and to no transaction.
        task = asyncio.create_task(work, context=contextvars.Context())
        tasks.add(task)

    async def _drain(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            while group := self._next_group():
                self._begun_at[task] = asyncio.get_running_loop().time()
                await self._carry_out(group)
                del self._begun_at[task]
        finally:
            # Directly after the test, not in a done callback: whoever comes between the two would
            # find every drain counted and none at work.
            self._drains.discard(task)
            self._begun_at.pop(task, None)

    def _next_group(self) -> list[_Waiting]:
        """A share for each drain, so that Python drafts while PostgreSQL writes."""
        share = min(math.ceil(self._count / DRAINS_MAX), GROUP_ORDERS_MAX)
        group: list[_Waiting] = []
        while self._ready and len(group) < share:
            name = next(iter(self._ready))
            if group and self._waiting[name] and self._waiting[name][0].alone:
                break
            del self._ready[name]
            self._under_way.add(name)
            taken = self._take(name, GROUP_ORDERS_MAX - len(group))
            group += taken
            if not taken:
                self._release(name)
            elif taken[0].alone:
                break
        return group

    def _take(self, name: str, limit: int) -> list[_Waiting]:
        """Return the spends that wait, in order; one that failed its group goes alone."""
        waiting = self._waiting[name]
        taken: list[_Waiting] = []
        while waiting and len(taken) < limit and not (taken and waiting[0].alone):
            one = waiting.popleft()
            self._count -= 1
            if not one.future.done():  # its caller may have gone
                taken.append(one)
                if one.alone:
                    break
        return taken

    def _put_back(self, name: str, group: Sequence[_Waiting]) -> None:
        """Let them wait again, before those that came later."""
        now = asyncio.get_running_loop().time()
        for one in reversed(group):
            if one.ends_at <= now:
                _answer(one, KeyInFlightError(_TAKEN))
            elif not one.future.done():
                self._waiting[name].appendleft(one)
                self._count += 1

    def _release(self, name: str) -> None:
        """The account is under way no longer."""
        self._under_way.discard(name)
        if self._waiting[name]:
            self._ready[name] = None
            self._wake()
        else:
            del self._waiting[name]

    async def _carry_out(self, group: list[_Waiting]) -> None:
        """Carry out a group; whatever happens, each of it is answered or waits again."""
        names = dict.fromkeys(one.order.account_id for one in group)
        taken: dict[str, list[_Waiting]] = {}
        try:
            rest = await self._answer_plain(group)
            for one, result in zip(rest, await self._results(rest), strict=True):
                if isinstance(result, AccountTaken):
                    taken.setdefault(one.order.account_id, []).append(one)
                else:
                    _answer(one, result)
        except BaseException as error:
            for one in group:
                _answer(one, error)
            taken = {}
            if not isinstance(error, Exception):
                raise
        finally:
            for name in names:
                if name in taken:
                    self._wait_for(name, taken[name])
                else:
                    self._release(name)

    async def _answer_plain(self, group: list[_Waiting]) -> list[_Waiting]:
        """Carry out and answer those that can be in the short way; the others."""
        rest = []
        plain = await self._plain([one.order for one in group])
        for one, spent in zip(group, plain, strict=True):
            if spent is None:
                rest.append(one)
            else:
                _answer(one, spent)
        return rest

    async def _plain(self, orders: Sequence[SpendOrder]) -> list[Spent | None]:
        try:
            return await spend_plain(self._book.database, orders)
        except _CONCERN_ONE:
            return [None] * len(orders)

    async def _results(self, group: list[_Waiting]) -> Sequence[Result]:
        """Carry out what was not plain."""
        if not group:
            return ()
        orders = [one.order for one in group]
        try:
            return await spend_by_sheet(self._book, orders)
        except _CONCERN_ONE as error:
            if len(group) == 1:
                return [await self._alone(group[0], error)]
        for one in group:
            one.alone = True
        return [AccountTaken()] * len(group)

    async def _alone(self, one: _Waiting, error: Exception) -> Result:
        """The result of an order that cannot be carried out as it stands.

        A key that another account's request took meanwhile is looked up again, and a lock is tried
        again; an account of which what is due cannot be posted is told.
        """
        if isinstance(error, asyncpg.UniqueViolationError | asyncpg.DeadlockDetectedError):
            try:
                # The other has committed: its answer is found, or the way is free.
                (result,) = await spend_by_sheet(self._book, [one.order])
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                return KeyInFlightError(_TAKEN)
            except _CONCERN_ONE as another:
                error = another
            else:
                return result
        if isinstance(error, asyncpg.LockNotAvailableError):
            return AccountTaken()
        if isinstance(error, TallybookError):
            return error
        log.error("spend_failed", account_id=one.order.account_id, exc_info=error)
        return TallybookError("A fault of ours; it is in the log.")

    def _wait_for(self, name: str, group: list[_Waiting]) -> None:
        """Wait for an account's lock in a lane, or try again later if all lanes are taken."""
        self._put_back(name, group)
        if not self._waiting[name] or self._waiting[name][0].alone:
            # What failed its group may stand in the way of nobody but itself: no lane is needed.
            self._later(name, 0.0 if not self._waiting[name] else RETRY_S / 10)
        elif len(self._lanes) < LANES_MAX:
            self._start(self._lane(name), self._lanes)
        else:
            self._later(name, RETRY_S)

    def _later(self, name: str, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._release, name)

    async def _lane(self, name: str) -> None:
        """One attempt that waits for the account's lock."""
        group = self._take(name, GROUP_ORDERS_MAX)
        try:
            if not group:
                return
            left_s = min(one.ends_at for one in group) - asyncio.get_running_loop().time()
            wait_ms = max(1, int(1_000 * min(LANE_WAIT_S, left_s)))
            with waiting_for_locks(wait_ms):
                orders = [one.order for one in group]
                results = await spend_by_sheet(self._book, orders, waiting=True)
            for one, result in zip(group, results, strict=True):
                assert not isinstance(result, AccountTaken)
                _answer(one, result)
        except asyncpg.LockNotAvailableError:
            self._put_back(name, group)
        except _CONCERN_ONE:
            for one in group:
                one.alone = True
            self._put_back(name, group)
        except BaseException as error:
            for one in group:
                _answer(one, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._lanes.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            self._release(name)


_TAKEN: Final = "The account, or a request under this key, is under way; try again, same key."
# Failures of a group that one of its orders caused: they must not fail the others.
_CONCERN_ONE: Final = (
    TallybookError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)


def _answer(one: _Waiting, answer: Outcome | BaseException) -> None:
    if one.future.done():
        return
    if isinstance(answer, Spent | TallybookError):
        one.future.set_result(answer)
    elif isinstance(answer, Exception):
        one.future.set_exception(answer)
    else:
        one.future.cancel()


def _pause() -> asyncio.Task[None]:
    return asyncio.create_task(asyncio.sleep(RETRY_S))
