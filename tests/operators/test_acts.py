"""What operators do leaves an append-only row in the act's own transaction, with a reason."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.accounts.put import put
from app.allowance.catalogue import default_text
from app.book import Book
from app.cli import keys as key_commands
from app.cli.tiers import apply_tiers
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators.acts import Operator, OperatorAct, record
from app.operators.keys import Scope
from app.spending.keyed import Order
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import NOW, Server
from tests.invariants import differences


async def listed(api: Api, **params: Any) -> list[dict[str, Any]]:
    answer = await api.get("/api/v1/operator-acts", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]  # type: ignore[no-any-return]


@pytest.fixture
async def acts(api: Api, book: Book) -> Acts:
    await put(book, "user-1", "cus_1", None, "tests")
    return Acts(api)


def operator_key(api: Api) -> str:
    return api.tokens["operator"].split("_")[1]


async def test_each_correction_is_recorded_with_who_why_and_its_journal(
    acts: Acts, api: Api, database: Database
) -> None:
    granted = await acts.post(
        "accounts/user-1/grants", {"amount": 7, "reason": "an apology"}, scope="operator"
    )
    adjusted = await acts.post(
        "accounts/user-1/adjustments", {"amount": -2, "reason": "a miscount"}, scope="operator"
    )
    reversed_ = await acts.post(
        "reversals", {"journal_id": granted.json()["id"], "reason": "a mistake"}, scope="operator"
    )
    assert [one.status_code for one in (granted, adjusted, reversed_)] == [201] * 3
    told = await listed(api)
    assert [(one["act"], one["reason"], one["journal_id"]) for one in told] == [
        ("grant", "an apology", granted.json()["id"]),
        ("adjustment", "a miscount", adjusted.json()["id"]),
        ("reversal", "a mistake", reversed_.json()["journal_id"]),
    ]
    assert {one["actor"] for one in told} == {operator_key(api)}
    assert {one["account_id"] for one in told} == {"user-1"}
    assert told[2]["subject"] == reversed_.json()["id"]
    assert await differences(database) == []


async def test_a_repeated_or_refused_act_is_not_recorded_again(acts: Acts, api: Api) -> None:
    for _ in range(2):
        await acts.post(
            "accounts/user-1/grants", {"amount": 7, "reason": "once"}, key="k", scope="operator"
        )
    refused = await acts.post(
        "accounts/user-1/adjustments", {"amount": -99, "reason": "too much"}, scope="operator"
    )
    assert refused.status_code == 402
    assert [one["reason"] for one in await listed(api)] == ["once"]


async def test_a_close_takes_a_reason_or_none_and_is_recorded_once(acts: Acts, api: Api) -> None:
    closing = "accounts/user-1/close"
    unknown = await acts.post(closing, {"reason": "x", "why": "y"}, scope="operator")
    assert unknown.status_code == 400
    assert (await acts.post(closing, {"reason": "asked for"}, scope="operator")).status_code == 200
    assert (await acts.post(closing, scope="operator")).status_code == 200
    (told,) = await listed(api, act="close")
    assert (told["account_id"], told["reason"], told["journal_id"]) == (
        "user-1",
        "asked for",
        None,
    )


async def test_a_runs_reversal_is_one_act_however_many_accounts_it_touches(
    acts: Acts, api: Api, book: Book
) -> None:
    await put(book, "user-2", "cus_2", None, "tests")
    await api.set_clock(NOW + timedelta(days=1))
    (run,) = (await api.get("/api/v1/runs")).json()["data"]
    answer = await acts.post(
        "reversals", {"run_id": run["id"], "reason": "the wrong day"}, scope="operator"
    )
    assert answer.json()["journal_count"] == 2
    (told,) = await listed(api)
    assert (told["act"], told["run_id"], told["reason"]) == (
        "reversal",
        run["id"],
        "the wrong day",
    )


async def failing(book: Book, by: Operator) -> None:
    async with book.database.transaction():
        await record(book.database, OperatorAct.RUN, by)
        raise RuntimeError


async def test_the_row_falls_with_its_act(book: Book) -> None:
    by = Operator(actor="tests", reason="why")
    with capture_logs() as logs, pytest.raises(RuntimeError):
        await failing(book, by)
    assert await book.database.fetchval("SELECT count(*) FROM operator_acts") == 0
    assert logs == []
    with pytest.raises(AssertionError):
        await record(book.database, OperatorAct.RUN, by)


async def test_an_act_is_logged_once_committed_and_never_with_its_reason(book: Book) -> None:
    number = 1
    await put(book, "jane@example.com", None, None, "tests")
    with capture_logs() as logs:
        async with book.database.transaction():
            by = Operator(actor="key1", reason="Jane called")
            await record(book.database, OperatorAct.CLOSE, by, account_id=number)
            with pytest.raises(RuntimeError):
                await failing(book, by)
            assert logs == []
    assert [(one["event"], one["act"], one["account"]) for one in logs] == [
        ("operator_act", "close", 1)
    ]
    assert "Jane" not in str(logs)
    assert "jane" not in str(logs)


async def test_pages_follow_one_another_by_cursor(api: Api, book: Book) -> None:
    async with book.database.transaction():
        for number in range(5):
            by = Operator(actor="tests", reason=None)
            await record(book.database, OperatorAct.RUN, by, subject=f"{number}")
    seen, cursor = [], {}
    while True:
        page = (await api.get("/api/v1/operator-acts", limit=2, **cursor)).json()
        seen += [one["subject"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["0", "1", "2", "3", "4"]
    crossed = await api.get("/api/v1/operator-acts", act="run", **cursor)
    assert crossed.status_code == 422


@pytest.fixture
def at_the_machine(monkeypatch: pytest.MonkeyPatch, server: Server, settings: Settings) -> None:
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", server.owner_url)
    monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", settings.key_pepper)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", settings.stripe_webhook_secrets[0])


async def test_what_is_done_at_the_machine_is_recorded_too(
    at_the_machine: None, api: Api, tmp_path: Path, database: Database
) -> None:
    await key_commands.create_key("shop", ["service"], reason="a new shop")
    key_id = await database.fetchval("SELECT id FROM api_keys WHERE name = 'shop'")
    await key_commands.rotate_key(key_id, 60, "a year is over")
    await key_commands.revoke_key(key_id, None)
    assert await key_commands.revoke_key(key_id, "again") == 1
    file = tmp_path / "tiers.toml"
    await asyncio.to_thread(file.write_text, default_text() + "\n# changed\n", encoding="utf-8")
    await apply_tiers(file, yes=True, reason="new prices")
    told = await listed(api)
    assert [(one["act"], one["reason"]) for one in told] == [
        ("key_created", "a new shop"),
        ("key_rotated", "a year is over"),
        ("key_revoked", "none given"),
        ("tiers_applied", "new prices"),
    ]
    assert told[1]["subject"].startswith(f"key {key_id} to ")
    assert all(one["actor"].startswith("cli:") for one in told)


def typed(command: list[str], words: bytes) -> str:
    """What the program prints at a terminal at which somebody types this."""
    outer, inner = pty.openpty()
    os.write(outer, words)
    program = [sys.executable, "-m", "app", *command]
    done = subprocess.run(
        program, stdin=inner, stdout=subprocess.PIPE, stderr=inner, check=True, timeout=60
    )
    os.write(inner, b".")  # so that there is something to read
    told = done.stdout + os.read(outer, 10_000)
    os.close(inner)
    os.close(outer)
    return told.decode()


@pytest.mark.parametrize(
    ("words", "reason"), [(b"a new shop\n", "a new shop"), (b"\n", "none given")]
)
@pytest.mark.usefixtures("at_the_machine")
async def test_who_sits_at_a_terminal_is_asked_why(api: Api, words: bytes, reason: str) -> None:
    told = typed(["keys", "create", "shop", "--scope", "service"], words)
    assert "Why" in told
    assert "tb_" in told
    assert [(one["act"], one["reason"]) for one in await listed(api)] == [("key_created", reason)]


@pytest.mark.usefixtures("at_the_machine")
async def test_who_has_said_why_is_not_asked(api: Api) -> None:
    told = typed(["keys", "create", "shop", "--scope", "service", "--reason", "new"], b"")
    assert "Why" not in told
    assert [one["reason"] for one in await listed(api)] == ["new"]


async def test_only_auditors_and_operators_may_read_it(api: Api) -> None:
    assert (await api.get("/api/v1/operator-acts", Scope.SERVICE)).status_code == 403


async def test_an_order_names_its_reason_where_a_journal_can_forget_it(
    acts: Acts, api: Api, server: Server, database: Database
) -> None:
    await acts.post(
        "accounts/user-1/grants", {"amount": 1, "reason": "for Jane Doe"}, scope="operator"
    )
    rows = await database.fetch("SELECT whole::text FROM operator_acts AS whole")
    assert "Jane" not in str(rows)
    said = ("reason", "metadata", "label", "member")
    assert Order.__struct_fields__ == ("actor", "key", *said)
