"""What a spend asks of the database: few statements, and plans that are made once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.book import Book
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger.idempotency import request_key
from app.spending.orders import SpendOrder
from app.spending.spend import spend, spend_by_sheet
from tests.conftest import NOW, open_database

SPENDS = 20
DAY = timedelta(days=1)


@pytest.fixture
async def one_connection(api, server):
    """A pool of one connection to a book that has PRO accounts: its statements can be counted."""
    for number in range(SPENDS):
        answer = await api.client.put(
            f"/api/v1/accounts/user-{number}", json={}, headers=api.headers("service")
        )
        assert answer.status_code == 201, answer.text
    async with open_database(server.application_url, 1) as database:
        yield database


async def spend_one_each(database: Database, run: str, way: Any = spend) -> None:
    book = Book(database)
    for number in range(SPENDS):
        key = request_key(f"{run}-{number}", "POST", "/", {})
        order = SpendOrder(account_id=f"user-{number}", amount=1, actor="test", key=key)
        (spent,) = await way(book, [order])
        assert getattr(spent, "amount", None) == 1, spent


async def statements(database: Database) -> dict[str, tuple[int, int]]:
    """Of each statement that was run for every spend: times planned for it, times not."""
    rows = await database.fetch(
        """SELECT statement, custom_plans, generic_plans FROM pg_prepared_statements
            WHERE custom_plans + generic_plans >= $1""",
        SPENDS,
    )
    return {row["statement"]: (row["custom_plans"], row["generic_plans"]) for row in rows}


async def test_a_plain_spend_is_one_statement(one_connection) -> None:
    await spend_one_each(one_connection, "spend")
    ((text, (_, kept)),) = (await statements(one_connection)).items()
    assert "spend_plainly" in text
    assert kept == SPENDS - 5


async def test_a_spend_by_sheet_is_three_statements_of_which_two_are_planned_once(
    one_connection,
) -> None:
    await spend_one_each(one_connection, "spend", spend_by_sheet)
    seen = await statements(one_connection)
    assert len(seen) == 3
    planned_once = [text for text, (planned, kept) in seen.items() if planned <= 5 < kept]
    assert len(planned_once) == 2
    assert [text for text in planned_once if "INSERT INTO entries" in text]


async def test_the_opening_of_a_day_adds_one_statement(one_connection) -> None:
    await clock.stand(one_connection, NOW + DAY)
    await spend_one_each(one_connection, "opening")
    seen = await statements(one_connection)
    assert len(seen) == 5  # the short way's first
    (writing,) = [text for text in seen if "INSERT INTO entries" in text]
    assert "INSERT INTO daily_grants" in writing
    assert [planned for planned, _ in seen.values() if planned > 5] == [SPENDS]  # the lots'
