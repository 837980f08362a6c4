"""Deliveries that come together share a transaction, where nothing follows from them.

As with spends: while one group is being written, those that come meanwhile form the next. A
delivery that finds no other under way goes alone and at once, as does all that is not steady.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from app.book import Book
from app.infrastructure.group_commit import GroupQueue
from app.webhooks.inbox import Ruling
from app.webhooks.steady import Delivery, take

GROUP_DELIVERIES_MAX: Final = 64
DRAINS_MAX: Final = 2  # transactions of groups at once in one process
WAITING_MAX: Final = 2_000  # who comes after them goes alone, and waits for a connection

log = structlog.get_logger(__name__)


class WebhookGroups:
    """Gathers the deliveries of one process."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._under_way = 0
        self._queue: GroupQueue[Delivery, Ruling | None] = GroupQueue(
            self._carry_out, drains_max=DRAINS_MAX, group_max=GROUP_DELIVERIES_MAX, names=_names
        )

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
        if self._under_way < 2 or len(self._queue) >= WAITING_MAX:
            return None
        return await self._queue.put(delivery)

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._queue.close()

    async def _carry_out(self, group: list[Delivery]) -> list[Ruling | None]:
        """Each that was ruled is answered; the others go alone, and so do all of a failed group."""
        try:
            return await take(self._book, group)
        except Exception as error:  # whoever caused it meets it again, alone, and is told
            log.warning("webhook_group_left", count=len(group), error=type(error).__name__)
            return [None] * len(group)


def _names(delivery: Delivery) -> list[tuple[str, str]]:
    """Of one event and of one customer, one in a group."""
    names = [("event", delivery.envelope.id)]
    if delivery.customer_id is not None:
        names.append(("customer", delivery.customer_id))
    return names
