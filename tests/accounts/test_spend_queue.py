"""Spends that arrive together share transactions, and none is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from app.accounts import spend_queue
from app.accounts.book import Book
from app.accounts.put import put
from app.accounts.spend import SpendOrder, Spent
from app.accounts.spend_queue import SpendQueue
from app.ledger.idempotency import request_key


def _order(name: str, number: int) -> SpendOrder:
    key = request_key(f"{name}-{number}", "POST", name, number)
    return SpendOrder(account_id=name, amount=1, actor="test", key=key)


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
