"""Spends that arrive together share transactions, and none is forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.accounts.put import put
from app.book import Book
from app.errors import TallybookError
from app.infrastructure import clock
from app.ledger.idempotency import request_key
from app.spending import queue as spend_queue
from app.spending.queue import SpendQueue
from app.spending.spend import SpendOrder, Spent
from tests.conftest import NOW


def _order(name: str, number: int) -> SpendOrder:
    key = request_key(f"{name}-{number}", "POST", name, number)
    return SpendOrder(account_id=name, amount=1, actor="test", key=key)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("UPDATE accounts SET time_zone = 'US/Pacific-New' WHERE id = 1", "unknown_zone"),
        (
            "ALTER TABLE daily_grants ADD CONSTRAINT broken CHECK (account_id <> 1) NOT VALID",
            "internal",
        ),
    ],
)
async def test_an_account_whose_due_cannot_be_posted_fails_no_other_spend_of_its_group(
    book: Book, server: Any, broken: str, told: str
) -> None:
    names = ("ada", "ben", "cat")
    for name in names:
        await put(book, name, None, None, "test")
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute(broken)
    await owner.close()
    await clock.stand(book.database, NOW + timedelta(days=1))
    ada, *others = await SpendQueue(book).batch([_order(name, 1) for name in names])
    assert isinstance(ada, TallybookError)
    assert ada.code == told
    assert [type(one) for one in others] == [Spent, Spent]


@pytest.mark.parametrize("drains", [1, 3])
async def test_callers_that_come_back_at_once_are_all_served(
    book: Book, monkeypatch: pytest.MonkeyPatch, drains: int
) -> None:
    monkeypatch.setattr(spend_queue, "DRAINS_MAX", drains)
    for name in ("ada", "ben"):
        await put(book, name, None, None, "test")
    queue = SpendQueue(book)

    async def caller(name: str, first: int) -> list[bool]:
        return [
            isinstance(await queue.spend(_order(name, number)), Spent)
            for number in range(first, first + 5)
        ]

    async with asyncio.timeout(30):
        served = await asyncio.gather(
            *(caller(name, 5 * k) for k in range(8) for name in ("ada", "ben"))
        )
    # Five credits each: five spends succeed, and every one of the others is refused.
    assert sum(sum(one) for one in served) == 10
    await queue.close()
