"""Concurrent spends share transactions: group commit, so that a hot account is no bottleneck.

While one transaction is under way the spends that come meanwhile gather, and go into the next
one together. A spend that finds nobody waiting goes alone and at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from typing import Final, cast

import asyncpg

from app.accounts.book import Book
from app.accounts.spend import SpendOrder, Spent, spend
from app.errors import BusyError, KeyInFlightError, TallybookError

GROUP_ORDERS_MAX: Final = 100
DRAINS_MAX: Final = 3  # transactions of spends at once in one process
WAITING_MAX: Final = 20_000

Outcome = Spent | TallybookError
_Waiting = tuple[SpendOrder, "asyncio.Future[Outcome]"]


class SpendQueue:
    """Gathers the spends of one process."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._waiting: deque[_Waiting] = deque()
        self._drains: set[asyncio.Task[None]] = set()

    async def spend(self, order: SpendOrder) -> Outcome:
        """Carry out the order together with those that wait; its result or its refusal.

        Raises what asyncpg raises when the database is away: nothing was acknowledged then.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise BusyError("Too many spends are waiting; try again with the same key.")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, future))
        if len(self._drains) < DRAINS_MAX:
            # A context of its own: a drain belongs to no request and to no transaction.
            drain = asyncio.create_task(self._drain(), context=contextvars.Context())
            self._drains.add(drain)
        return await future

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._drains, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            # A share for each drain, so that Python drafts while PostgreSQL writes.
            share = math.ceil(len(self._waiting) / DRAINS_MAX)
            count = min(share, GROUP_ORDERS_MAX)
            await self._carry_out([self._waiting.popleft() for _ in range(count)])
        # Directly after the test, not in a done callback: whoever comes between the two would
        # find every drain counted and none at work.
        self._drains.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _carry_out(self, group: list[_Waiting]) -> None:
        try:
            results = await carry_out(self._book, [order for order, _ in group])
        except Exception as error:  # every caller is told; none was acknowledged
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)


async def carry_out(book: Book, orders: list[SpendOrder]) -> list[Outcome]:
    """All orders in one transaction; one by one where they stand in each other's way.

    A key that another account's request took meanwhile, a deadlock with a request outside the
    group, or an account that stays locked concern one order and must not fail the others.
    """
    try:
        return await spend(book, orders)
    except (
        asyncpg.UniqueViolationError,
        asyncpg.DeadlockDetectedError,
        asyncpg.LockNotAvailableError,
    ):
        return [await _alone(book, order) for order in orders]


async def _alone(book: Book, order: SpendOrder) -> Outcome:
    for _ in range(2):
        try:
            (result,) = await spend(book, [order])
        except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
            continue  # whoever was first has committed: its answer is found, or the way is free
        except asyncpg.LockNotAvailableError:
            break
        return result
    return KeyInFlightError("A request under this Idempotency-Key is under way; try again.")
