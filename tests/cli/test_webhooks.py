"""`tallybook webhooks`: at the machine, what the API does, with the person's name in the record."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.infrastructure.settings import Settings
from tests.api_client import Api
from tests.outgoing.conftest import Hooks


@pytest.fixture
def hooks(api: Api, book: Any, settings: Settings) -> Hooks:
    return Hooks(api, book, settings)


@pytest.fixture
def told(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command on the test's book: its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", settings.key_pepper)
    monkeypatch.setenv("TALLYBOOK_WEBHOOKS_PRIVATE", "127.0.0.0/8")

    async def command(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["webhooks", *words])
        return done.exit_code, done.output

    return command


async def test_an_endpoint_is_made_changed_rolled_and_deleted(told: Any, hooks: Hooks) -> None:
    url = "http://127.0.0.1:9/hooks"
    code, secret = await told("put", "main", url, "--event", "run.done", "--reason", "to listen")
    assert (code, secret.startswith("whsec_")) == (0, True)
    code, said = await told("put", "main", url, "--ordered")
    assert (code, "whsec_" in said) == (0, False)
    code, rolled = await told("roll", "main")
    assert (code, rolled.startswith("whsec_"), rolled != secret) == (0, True, True)
    code, listed = await told("list", "--json")
    (one,) = json.loads(listed)
    assert (one["endpoint"], one["url"], one["events"], one["ordered"]) == (
        *("main", url, ["all"], True),
    )
    assert (await told("delete", "main"))[0] == 0
    assert (await told("delete", "main"))[0] == 1
    acts = (await hooks.api.get("/api/v1/operator-acts")).json()["data"]
    assert [act["act"] for act in acts] == [
        "webhook_endpoint_put",
        "webhook_endpoint_put",
        "webhook_secret_rolled",
        "webhook_endpoint_deleted",
    ]
    assert acts[0]["actor"].startswith("cli:")
    assert acts[0]["reason"] == "to listen"


async def test_what_cannot_be_is_refused_with_a_sentence(told: Any) -> None:
    code, said = await told("put", "main", "http://127.0.0.1:9/", "--event", "run.dome")
    assert (code, "No such type: run.dome" in said, "run.done" in said) == (1, True, True)
    code, said = await told("put", "main", "https://10.0.0.8/")
    assert (code, "is not public" in said) == (1, True)
    code, said = await told("put", "a b", "http://127.0.0.1:9/")
    assert code == 1
    code, said = await told("redeliver")
    assert (code, "name messages" in said) == (2, True)


async def test_messages_are_listed_and_sent_again(told: Any, hooks: Hooks) -> None:
    await told("put", "main", "http://127.0.0.1:9/hooks")
    await hooks.tell("run.done", "run.failed", "event.parked")
    await hooks.book.database.execute("UPDATE webhook_messages SET state = 'dead'")
    code, said = await told("messages", "--state", "dead", "--limit", "2", "--json")
    found = json.loads(said)
    assert [one["type"] for one in found] == ["run.failed", "event.parked"], "the newest two"
    code, said = await told("redeliver", found[0]["message"])
    assert (code, "pending" in said) == (0, True)
    code, said = await told("redeliver", "msg_0000000000zzz")
    assert (code, "There is no webhook message" in said) == (1, True)
    span = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z")
    code, said = await told("redeliver", "--endpoint", "main", *span)
    assert (code, said.strip()) == (0, "3 messages are sent again.")
    assert {state for _, state in await hooks.states()} == {"pending"}
