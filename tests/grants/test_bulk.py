"""The set-based way of opening days and the pure one write the same rows."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from app import clock
from app.accounts.book import Book
from app.accounts.put import put
from app.accounts.spend import SpendOrder, spend
from app.audit.verify import verify
from app.grants import bulk, load, run
from app.grants.day import Origin
from app.ledger.idempotency import request_key
from tests.conftest import NOW

ZONES = ("UTC", "Asia/Tokyo", "America/New_York")
ACCOUNTS = 18


async def _people(book: Book) -> None:
    """Accounts in several zones that have spent all, some or nothing of their day."""
    for number in range(ACCOUNTS):
        name = f"user-{number}"
        await put(book, name, None, ZONES[number % 3], "test")
        if number % 4:
            key = request_key(f"spend-{number}", "POST", name, None)
            amount = (number % 5) + 1
            order = SpendOrder(account_id=name, amount=amount, actor="test", key=key)
            await spend(book, [order])


async def _rows(book: Book) -> dict[str, list[dict[str, Any]]]:
    wanted = {
        "accounts": "id, free, tier, day_on, day_starts_at, day_ends_at, due_at, day_opening",
        "lots": "account_id, source, priority, granted_at, expires_at, granted, lapsed, free, live",
        "daily_grants": "account_id, day_on, opening, starts_at, ends_at, tier, credits,"
        " previous_on",
        "entries": "account_id, kind, debit, credit, amount, free_after, effective_at",
        "journals": "kind, source, actor, effective_at",
    }
    found = {}
    for table, columns in wanted.items():
        rows = await book.database.fetch(f"SELECT {columns} FROM {table}")
        found[table] = sorted((dict(row) for row in rows), key=repr)
    return found


async def test_both_ways_of_opening_a_day_write_the_same_rows(book: Book) -> None:
    await _people(book)
    await clock.stand(book.database, NOW + timedelta(days=3))
    due = await run._due_days(book.database)
    runs = await run._begin_runs(book.database, book.catalogues, "tick", due)
    with contextlib.suppress(RuntimeError):
        async with book.database.transaction():
            ids = [row["id"] for row in await book.database.fetch("SELECT id FROM accounts")]
            days = await load.lock(book.database, book.catalogues, ids)
            for day in days.values():
                day.runs = runs
                day.post_due(Origin("grants", "tick"))
            await load.store(book.database, days.values())
            one_by_one = await _rows(book)
            raise RuntimeError("undo it")
    for zone, (day, _) in due.items():
        run_id = runs[day.on, day.starts_at]
        while await bulk.open_days(book.database, book.catalogues, zone, day, run_id, "tick"):
            continue
    assert await _rows(book) == one_by_one
    assert [check.differences for check in await verify(book.database) if check.differences] == []


async def test_a_second_pass_opens_nothing(book: Book) -> None:
    await _people(book)
    await clock.stand(book.database, NOW + timedelta(days=1))
    await run.run_due(book.database, book.catalogues, "tick", 30)
    before = await _rows(book)
    await run.run_due(book.database, book.catalogues, "cron", 30)
    assert await _rows(book) == before
