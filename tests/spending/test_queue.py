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
from app.spending.spend import ACCOUNT_TAKEN, SpendOrder, Spent, spend
from tests.conftest import NOW, open_database
from tests.invariants import differences


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


async def test_an_account_that_another_process_spends_from_is_passed_over(
    book, database, server
) -> None:
    await put(book, "user-1", None, None, "tests")
    async with open_database(server.application_url, 1) as elsewhere:
        async with elsewhere.transaction():
            (theirs,) = await spend(Book(elsewhere), [_order("user-1", 1)])
            assert isinstance(theirs, Spent)
            assert await spend(book, [_order("user-1", 2)]) == [ACCOUNT_TAKEN]
        (ours,) = await spend(book, [_order("user-1", 2)])
    assert isinstance(ours, Spent)
    assert (theirs.available, ours.available) == (4, 3)
    assert await differences(database) == []
