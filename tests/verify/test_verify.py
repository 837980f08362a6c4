"""Verify names what somebody with all rights changed behind the ledger's back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from app.ledger.idempotency import request_key
from app.spending.spend import SpendOrder, spend
from app.verify.verify import verify
from tests.conftest import NOW, Server


@pytest.fixture
async def superuser(server: Server, book: Book) -> AsyncIterator[asyncpg.Connection]:
    """Beside a book of two accounts with a few spends, whose triggers do not fire for it."""
    for number in (1, 2):
        account = f"user-{number}"
        await put(book, account, None, None, "tests")
        for turn in range(3):
            key = request_key(f"{account}-{turn}", "POST", "/", {"amount": 1})
            await spend(book, [SpendOrder(account_id=account, amount=1, actor="tests", key=key)])
    connection = await asyncpg.connect(server.superuser_url)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def differences(database: Database) -> dict[str, list[str]]:
    checks = await verify(database)
    return {check.name: check.differences for check in checks if check.differences}


async def test_an_untouched_ledger_has_no_differences(
    superuser: asyncpg.Connection, database: Database
) -> None:
    checks = await verify(database)
    assert [check.differences for check in checks if check.differences] == []
    rows = {check.name: check.rows for check in checks}
    assert rows["every account's sides are the sum of its entries"] == 2
    assert rows["every entry's balance follows from the one before it"] == 8


async def test_a_day_that_a_zone_ended_at_the_instant_of_a_spend_is_none(
    superuser: asyncpg.Connection, database: Database, book: Book
) -> None:
    await put(book, "user-1", None, "Pacific/Fiji", "tests")  # where this instant is midnight
    ends_at = await database.fetchval("SELECT expires_at FROM lots WHERE account_id = 1 LIMIT 1")
    assert ends_at == await database.fetchval("SELECT max(recorded_at) FROM entries") == NOW
    assert await differences(database) == {}
    await superuser.execute(
        """UPDATE entries SET recorded_at = (SELECT expires_at FROM lots WHERE id = lot_id)
            WHERE kind = 'spend' AND account_id = 2"""
    )
    assert "draws on lot" in str(await differences(database)), "no zone ended that one"


async def test_an_edited_amount_is_named(superuser: asyncpg.Connection, database: Database) -> None:
    number = await superuser.fetchval(
        """UPDATE entries SET amount = 2 WHERE id =
               (SELECT min(id) FROM entries WHERE kind = 'spend') RETURNING id"""
    )
    told = await differences(database)
    assert f"entry {number} of account 1 does not follow from the one before" in str(told)
    assert "account 1: free 2, held 0, debt 0 stand; its entries say 1, 0, 0" in str(told)
    assert any("every lot" in name for name in told)
    assert "account 2" not in str(told)


async def test_a_deleted_entry_is_named_by_what_follows_it(
    superuser: asyncpg.Connection, database: Database
) -> None:
    rows = await superuser.fetch("SELECT id, journal_id FROM entries WHERE account_id = 2")
    await superuser.execute("DELETE FROM entries WHERE id = $1", rows[1]["id"])
    told = str(await differences(database))
    assert f"entry {rows[2]['id']} of account 2 does not follow from the one before" in told
    assert f"journal {rows[1]['journal_id']} (spend) has no entry" in told


async def test_a_deleted_last_entry_is_named_though_all_sums_were_mended(
    superuser: asyncpg.Connection, database: Database
) -> None:
    journal = await superuser.fetchval(
        """DELETE FROM entries WHERE id = (SELECT max(id) FROM entries WHERE account_id = 2)
           RETURNING journal_id"""
    )
    await superuser.execute("UPDATE accounts SET free = free + 1 WHERE id = 2")
    await superuser.execute("UPDATE lots SET free = free + 1 WHERE account_id = 2")
    assert str(await differences(database)).count(f"journal {journal} (spend) has no entry") == 1


PROJECTIONS = {
    "UPDATE lots SET free = free + 1, granted = granted + 1 WHERE account_id = 1": (
        "free 3, held 0, lapsed 0 stand; its entries say 2, 0, 0"
    ),
    "UPDATE lots SET granted = granted + 7 WHERE account_id = 2": (
        "granted 12, moved 0, refunded 0, live t stand; its entries say 5, 0, 0, t"
    ),
    "UPDATE lots SET moved = 2 WHERE account_id = 1": (
        "moved 2, refunded 0, live t stand; its entries say 5, 0, 0, t"
    ),
    "UPDATE accounts SET free = 4 WHERE id = 2": (
        "account 2: free 4, held 0, debt 0 stand; its entries say 2, 0, 0"
    ),
    "UPDATE lots SET expires_at = '2026-01-01T11:00Z' WHERE account_id = 1": (
        "which ended at 2026-01-01 11:00:00+00"
    ),
    "UPDATE daily_grants SET lot_id = (SELECT min(id) FROM lots)": "serves 2 account-days",
    "UPDATE entries SET lot_id = (SELECT max(id) FROM lots) WHERE id = 1": (
        "entry 1 of account 1 draws on lot"
    ),
}


async def test_edited_projections_are_named(
    superuser: asyncpg.Connection, database: Database
) -> None:
    for change, told in PROJECTIONS.items():
        await superuser.execute(change)
        assert told in str(await differences(database))


async def test_a_gift_without_a_grant_is_named(
    superuser: asyncpg.Connection, database: Database
) -> None:
    await superuser.execute("UPDATE accounts SET free = free + 100 WHERE id = 1")
    await superuser.execute(
        "UPDATE lots SET free = free + 100, granted = granted + 100 WHERE account_id = 1"
    )
    told = await differences(database)
    assert len(told) == 3, "the sides, the lot and its grant differ from entries nobody touched"
