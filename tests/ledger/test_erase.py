"""Free text can be erased while the ledger stands; the application itself may not."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from app.accounts.put import put
from app.book import Book
from app.commands import ledger as commands
from app.errors import ConfigurationError
from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import Server
from tests.invariants import differences


async def erase(monkeypatch: pytest.MonkeyPatch, url: str) -> str:
    monkeypatch.setenv("DATABASE_URL", url)
    told = io.StringIO()
    await commands.erase_notes(Console(file=told, width=120), "ada")
    return told.getvalue()


async def spend_with_text(api: Api, account_id: str) -> str:
    answer = await api.client.post(
        f"/api/v1/accounts/{account_id}/spends",
        json={"amount": 1, "reason": f"for Ada of {account_id}", "metadata": {"who": "Ada"}},
        headers=api.headers("service", **{"Idempotency-Key": f"of-{account_id}"}),
    )
    assert answer.status_code == 201
    return answer.text


async def test_the_owner_erases_one_accounts_text_and_retries_still_get_the_first_answer(
    api: Api,
    book: Book,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = {}
    for account_id in ("ada", "bob"):
        await put(book, account_id, None, None, "tests")
        first[account_id] = await spend_with_text(api, account_id)
    assert "of 1 journals" in await erase(monkeypatch, server.owner_url)
    texts = await database.fetch("SELECT reason, metadata::text FROM notes ORDER BY journal_id")
    told = " ".join(str(tuple(row)) for row in texts)
    assert "ada" not in told
    assert "for Ada of bob" in told
    assert await spend_with_text(api, "ada") == first["ada"]
    assert await differences(database) == []


async def test_the_applications_role_may_not_erase(
    api: Api,
    book: Book,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put(book, "ada", None, None, "tests")
    await spend_with_text(api, "ada")
    with pytest.raises(ConfigurationError, match="Only the schema's owner"):
        await erase(monkeypatch, server.application_url)
    assert await database.fetchval("SELECT reason FROM notes") == "for Ada of ada"
