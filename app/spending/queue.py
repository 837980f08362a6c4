"""Concurrent spends share transactions: group commit, so that a hot account is no bottleneck.

While one transaction is under way the spends that come meanwhile gather, and go into the next
one together. A spend that finds nobody waiting goes alone and at once.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import asyncpg
import structlog

from app.book import Book
from app.errors import BusyError, KeyInFlightError, TallybookError
from app.infrastructure.group_commit import GroupQueue
from app.spending.spend import SpendOrder, Spent, spend

log = structlog.get_logger(__name__)

GROUP_ORDERS_MAX: Final = 100
DRAINS_MAX: Final = 3  # transactions of spends at once in one process
WAITING_MAX: Final = 20_000

Outcome = Spent | TallybookError


class SpendQueue:
    """Gathers the spends of one process."""

    def __init__(self, book: Book) -> None:
        self._queue: GroupQueue[SpendOrder, Outcome] = GroupQueue(
            partial(carry_out, book), drains_max=DRAINS_MAX, group_max=GROUP_ORDERS_MAX
        )

    async def spend(self, order: SpendOrder) -> Outcome:
        """Carry out the order together with those that wait; its result or its refusal.

        Raises what asyncpg raises when the database is away: nothing was acknowledged then.
        """
        if len(self._queue) >= WAITING_MAX:
            raise BusyError("Too many spends are waiting; try again with the same key.")
        return await self._queue.put(order)

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._queue.close()


async def carry_out(book: Book, orders: list[SpendOrder]) -> list[Outcome]:
    """All orders in one transaction; one by one where they stand in each other's way.

    A key that another account's request took meanwhile, a deadlock with a request outside the
    group, an account that stays locked, or one of which what is due cannot be posted concern one
    order and must not fail the others.
    """
    try:
        return await spend(book, orders)
    except (
        TallybookError,
        asyncpg.IntegrityConstraintViolationError,
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
        except asyncpg.IntegrityConstraintViolationError:
            log.exception("spend_failed", account_id=order.account_id)
            return TallybookError("A fault of ours; it is in the log.")
        except TallybookError as error:
            return error
        return result
    return KeyInFlightError("A request under this Idempotency-Key is under way; try again.")
