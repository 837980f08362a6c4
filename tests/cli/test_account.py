"""`tallybook account` and `reverse`: what the API does; a dry run changes nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.infrastructure.settings import Settings
from tests.acts import DAY, Acts
from tests.conftest import NOW
from tests.invariants import differences

WHY = ("--reason", "of the test")


@pytest.fixture
def told(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command on the test's book: its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)

    async def command(*words: object) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, [str(word) for word in words])
        return done.exit_code, done.output

    return command


@pytest.fixture
async def ann(api: Any) -> Acts:
    """A FREE account, ann, with 5 credits."""
    await api.put("/api/v1/accounts/ann", {})
    return Acts(api, "ann")


async def test_a_grant_is_tried_then_made_once_under_its_key(told, ann, api, database) -> None:
    grant = ("account", "grant", "ann", 50, *WHY)
    code, said = await told(*grant, "--dry-run")
    assert (code, "available\t5\t55" in said, "nothing was changed" in said) == (0, True, True)
    assert await ann.sides() == (5, 0, 0)
    for again in ("", "an earlier call under this key made it"):
        code, said = await told(*grant, "--key", "apology-1")
        assert (code, again in said) == (0, True)
    assert await ann.sides() == (55, 0, 0)
    (act,) = (await api.get("/api/v1/operator-acts")).json()["data"]
    assert (act["act"], act["actor"].startswith("cli:")) == ("grant", True)
    (entry,) = await ann.entries(kind="grant", lot_source="promotional")
    assert entry == ("grant", "issued", "free", 50)
    code, said = await told("account", "grant", "nobody", 1, *WHY)
    assert (code, "No account has the id 'nobody'" in said) == (1, True)
    assert (await told("account", "grant", "ann", 1))[0] == 2, "a reason is wanted"
    assert await differences(database) == []


async def test_credits_are_adjusted_returned_and_reversed(told, ann, database) -> None:
    spent = await ann.journal(await ann.spend(4))
    give_back = ("account", "return", "ann", "--spend", spent, "--amount", 1, *WHY)
    code, said = await told(*give_back, "--dry-run")
    assert (code, "available\t1\t2" in said, await ann.sides()) == (0, True, (1, 0, 0))
    assert (await told(*give_back))[0] == 0
    assert (await told("account", "return", "ann", *WHY))[0] == 1, "one of three names the spend"
    assert (await told("account", "adjust", "ann", -2, *WHY, "--dry-run"))[0] == 0
    assert await ann.sides() == (2, 0, 0)
    assert (await told("account", "adjust", "ann", -2, *WHY))[0] == 0
    assert await ann.sides() == (0, 0, 0)
    code, said = await told("reverse", "--journal", spent, *WHY, "--dry-run")
    assert (code, "requested\t3" in said, await ann.sides()) == (0, True, (0, 0, 0))
    code, said = await told("reverse", "--journal", spent, *WHY)
    assert (code, "Reversal rev_" in said, await ann.sides()) == (0, True, (3, 0, 0))
    assert (await told("reverse", *WHY))[0] == 1
    assert (await told("reverse", "--journal", spent, "--shortfall", "forget", *WHY))[0] == 2
    assert await differences(database) == []


async def test_an_account_is_named_closed_and_suspended(told, ann, api, database) -> None:
    assert (await told("account", "rename", "ann", "anna", *WHY, "--dry-run"))[0] == 0
    assert (await api.account("ann"))["id"] == "ann"
    assert (await told("account", "rename", "ann", "anna", *WHY))[0] == 0
    assert (await api.account("ann"))["id"] == "anna"
    for act, member in (("suspend", "suspended_at"), ("close", "closed_at")):
        undo = "resume" if act == "suspend" else "reopen"
        assert (await told("account", act, "anna", *WHY))[0] == 0
        assert (await api.account("anna"))[member] is not None
        assert (await told("account", undo, "anna", *WHY))[0] == 0
        assert (await api.account("anna"))[member] is None
    await api.put("/api/v1/accounts/bob", {})
    assert (await told("account", "merge", "bob", "anna", *WHY))[0] == 0
    assert (await api.account("bob"))["id"] == "anna"
    assert await differences(database) == []


async def test_accounts_are_shown_for_eyes_pipes_and_programs(told, ann, api) -> None:
    await ann.done(await ann.grant(1_000))
    _, said = await told("account", "show", "ann", "--json")
    shown = json.loads(said)
    assert (shown["account"], shown["available"], shown["tier"]) == ("ann", 1_005, "FREE")
    assert [lot["source"] for lot in shown["lots"]] == ["daily", "promotional"]
    _, said = await told("account", "list", "--available-gte", 6)
    assert [line.split("\t")[0] for line in said.splitlines()] == ["account", "ann"]
    await api.put("/api/v1/accounts/bob", {})
    _, said = await told("account", "list", "--limit", 1, "--json")
    assert [one["account"] for one in json.loads(said[said.index("[") :])] == ["ann"]
    assert "There are more than 1" in said
    _, said = await told("account", "explain", "ann", "--json")
    assert {one["source"] for one in json.loads(said)} == {"daily", "promotional"}
    code, said = await told("account", "explain", "ann", "--json", "--as-of", "2025-12-31T00:00Z")
    assert (code, json.loads(said)) == (0, [])


async def test_a_whole_run_is_taken_back(told, ann, api, database) -> None:
    await api.set_clock(NOW + DAY)
    (run,) = (await api.get("/api/v1/runs")).json()["data"]
    await ann.spend(2)
    code, said = await told("reverse", "--run", run["id"], *WHY, "--dry-run")
    assert (code, await ann.sides()) == (0, (3, 0, 0))
    assert "ann\t5\t3\t0\t2\t0" in said.splitlines()
    code, said = await told("reverse", "--run", run["id"], *WHY, "--dry-run", "--json")
    looked = json.loads(said)
    assert (looked["reversal"], looked["clawed"], looked["shortfall"]) == (None, 3, 2)
    code, said = await told("reverse", "--run", run["id"], *WHY)
    assert (code, "1 journals, 0 skipped; done." in said, await ann.sides()) == (
        *(0, True),
        (0, 0, 0),
    )
    assert "ann\t5\t3\t0\t2\t0" in said.splitlines()
    (whole,) = json.loads((await told("reversals", "--json"))[1])
    assert (whole["of"], whole["clawed"], whole["account"]) == (run["id"], 3, "1 accounts")
    (part,) = json.loads((await told("reversals", "--account", "ann", "--json"))[1])
    (line,) = json.loads((await told("grants", "taken-back", run["id"], "--json"))[1])
    assert (line["account"], line["reversal"], line["shortfall"]) == ("ann", part["reversal"], 2)
    (listed,) = json.loads((await told("grants", "list", "--json"))[1])
    assert (listed["taken back"], listed["short"]) == (3, 2)
    assert await differences(database) == []
