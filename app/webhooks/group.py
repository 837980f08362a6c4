"""Deliveries that come together share a transaction, where nothing follows from them.

As with spends: while one group is being written, those that come meanwhile form the next. A
delivery that finds no other under way goes alone and at once, as does all that is not steady.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import structlog

from app.accounts.book import Book
from app.webhooks.inbox import Ruling
from app.webhooks.steady import Delivery, take

GROUP_DELIVERIES_MAX: Final = 64
DRAINS_MAX: Final = 2  # transactions of groups at once in one process
WAITING_MAX: Final = 2_000  # who comes after them goes alone, and waits for a connection

log = structlog.get_logger(__name__)

_Waiting = tuple[Delivery, "asyncio.Future[Ruling | None]"]


class WebhookGroups:
    """Gathers the deliveries of one process."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._under_way = 0
        self._waiting: deque[_Waiting] = deque()
        self._drains: set[asyncio.Task[None]] = set()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a delivery, so that others know they are not alone."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def take(self, delivery: Delivery) -> Ruling | None:
        """What was ruled and committed; None where the delivery is to go alone."""
        if self._under_way < 2 or len(self._waiting) >= WAITING_MAX:
            return None
        future: asyncio.Future[Ruling | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, future))
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
            await self._carry_out(self._next_group())
        # Directly after the test, not in a done callback: whoever comes between the two would
        # find every drain counted and none at work.
        self._drains.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_group(self) -> list[_Waiting]:
        """A share for each drain; of one event or one customer the second waits for the next."""
        share = math.ceil(len(self._waiting) / DRAINS_MAX)
        group: list[_Waiting] = []
        put_off: list[_Waiting] = []
        taken: set[tuple[str, str | None]] = set()
        count = min(share, GROUP_DELIVERIES_MAX)
        while self._waiting and len(group) < count and len(put_off) < GROUP_DELIVERIES_MAX:
            one = self._waiting.popleft()
            delivery = one[0]
            names = {("event", delivery.envelope.id)}
            if delivery.customer_id is not None:
                names.add(("customer", delivery.customer_id))
            if taken.isdisjoint(names):
                taken |= names
                group.append(one)
            else:
                put_off.append(one)
        self._waiting.extendleft(reversed(put_off))
        return group

    async def _carry_out(self, group: list[_Waiting]) -> None:
        """Each that was ruled is answered; the others go alone, and so do all of a failed group."""
        try:
            rulings = await take(self._book, [delivery for delivery, _ in group])
        except Exception as error:  # whoever caused it meets it again, alone, and is told
            log.warning("webhook_group_left", count=len(group), error=type(error).__name__)
            rulings = [None] * len(group)
        for (_, future), ruling in zip(group, rulings, strict=True):
            if not future.done():
                future.set_result(ruling)
