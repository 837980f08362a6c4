"""Deliveries that come together share a transaction, if they have no effect.

As with spends: while one group is being written, the deliveries that come meanwhile form the next
one. A delivery that comes alone is a group of one.
"""

from __future__ import annotations

from typing import Final

import structlog

from app.book import Book
from app.infrastructure.group_commit import GroupQueue
from app.webhooks import no_effect
from app.webhooks.delivery import Delivery
from app.webhooks.inbox import Ruling

GROUP_DELIVERIES_MAX: Final = 64
DRAINS_MAX: Final = 2  # transactions of groups at once in one process
WAITING_MAX: Final = 2_000  # a delivery beyond them goes alone, and waits for a connection

log = structlog.get_logger(__name__)


class WebhookGroups:
    """Gathers the deliveries of one process."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._queue: GroupQueue[Delivery, Ruling | None] = GroupQueue(
            self._carry_out, drains_max=DRAINS_MAX, group_max=GROUP_DELIVERIES_MAX, names=_names
        )

    async def take(self, delivery: Delivery) -> Ruling | None:
        """Return the ruling that was committed; None if the delivery is to go alone."""
        if len(self._queue) >= WAITING_MAX:
            return None
        return await self._queue.put(delivery)

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._queue.close()

    async def _carry_out(self, group: list[Delivery]) -> list[Ruling | None]:
        """Take the group in; if that fails, each is taken in alone and meets its own error."""
        try:
            return await no_effect.take(self._book, group)
        except Exception as error:
            log.warning("webhook_group_left", count=len(group), error=type(error).__name__)
            return [None] * len(group)


def _names(delivery: Delivery) -> list[tuple[str, str]]:
    """One event and one customer come once in a group."""
    names = [("event", delivery.envelope.id)]
    customer_id = no_effect.customer_of(delivery)
    if customer_id is not None:
        names.append(("customer", customer_id))
    return names
