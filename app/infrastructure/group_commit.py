"""Group commit: work that arrives while one group is being written forms the next group."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic, TypeVar, cast

Work = TypeVar("Work")
Result = TypeVar("Result")


class GroupQueue(Generic[Work, Result]):
    """Waiting work of one process, taken in groups by at most ``drains_max`` tasks at once.

    ``carry_out`` returns one result for each work of a group, in order. Its exception reaches
    every caller of the group, and so does a wrong number of results. Two works of one group never
    share one of their ``names``: the second waits for the next group.
    """

    def __init__(
        self,
        carry_out: Callable[[list[Work]], Awaitable[Sequence[Result]]],
        *,
        drains_max: int,
        group_max: int,
        names: Callable[[Work], Collection[object]] = lambda _: (),
    ) -> None:
        self._carry_out = carry_out
        self._drains_max = drains_max
        self._group_max = group_max
        self._names = names
        self._waiting: deque[tuple[Work, asyncio.Future[Result]]] = deque()
        self._drains: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how much work waits, without what is being carried out."""
        return len(self._waiting)

    async def put(self, work: Work) -> Result:
        """Add work to the waiting group and return its result."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if len(self._drains) < self._drains_max:
            # A context of its own: a drain belongs to no request and to no transaction.
            drain = asyncio.create_task(self._drain(), context=contextvars.Context())
            self._drains.add(drain)
        return await future

    async def close(self) -> None:
        """Wait for running groups."""
        await asyncio.gather(*self._drains, return_exceptions=True)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._next_group())
        finally:
            # Directly after the test, not in a done callback: work that arrived in between would
            # find every drain counted and none running.
            self._drains.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_group(self) -> list[tuple[Work, asyncio.Future[Result]]]:
        """Take each drain's share, so that Python drafts one group while PostgreSQL
        writes another.
        """
        count = min(math.ceil(len(self._waiting) / self._drains_max), self._group_max)
        group: list[tuple[Work, asyncio.Future[Result]]] = []
        put_off: list[tuple[Work, asyncio.Future[Result]]] = []
        taken: set[object] = set()
        while self._waiting and len(group) < count and len(put_off) < self._group_max:
            one = self._waiting.popleft()
            names = self._names(one[0])
            if taken.isdisjoint(names):
                taken.update(names)
                group.append(one)
            else:
                put_off.append(one)
        self._waiting.extendleft(reversed(put_off))
        return group

    async def _answer(self, group: list[tuple[Work, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._carry_out([work for work, _ in group])
            if len(results) != len(group):
                raise RuntimeError(f"{len(results)} results for {len(group)} of a group.")
        except BaseException as error:
            for _, future in group:
                if isinstance(error, Exception) and not future.done():
                    future.set_exception(error)
                future.cancel()  # the drain ends: no caller may wait without end
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
