"""What waits for a commit is called after it, and never for what was rolled back."""

from __future__ import annotations

import pytest

from app.infrastructure.db import Database


async def failing(database: Database, seen: list[str], name: str) -> None:
    async with database.transaction():
        database.after_commit(lambda: seen.append(name))
        raise LookupError


async def test_it_waits_for_the_outermost_commit(database: Database) -> None:
    seen: list[str] = []
    async with database.transaction():
        database.after_commit(lambda: seen.append("outer"))
        async with database.transaction():
            database.after_commit(lambda: seen.append("inner"))
        assert seen == []
    assert seen == ["outer", "inner"]


async def test_a_savepoint_that_fell_takes_its_own_with_it(database: Database) -> None:
    seen: list[str] = []
    async with database.transaction():
        database.after_commit(lambda: seen.append("before"))
        with pytest.raises(LookupError):
            await failing(database, seen, "fallen")
        database.after_commit(lambda: seen.append("after"))
    assert seen == ["before", "after"]


async def test_what_is_rolled_back_calls_nothing(database: Database) -> None:
    seen: list[str] = []
    with pytest.raises(LookupError):
        await failing(database, seen, "fallen")
    assert seen == []


async def test_outside_a_transaction_it_is_called_at_once(database: Database) -> None:
    seen: list[str] = []
    database.after_commit(lambda: seen.append("now"))
    assert seen == ["now"]
