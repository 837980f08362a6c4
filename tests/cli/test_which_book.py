"""Commands find the book that runs beside them, say which it is, and make keys that work there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.allowance.catalogue import default_text
from app.cli import app
from app.operators.keys import keep_pepper
from tests.conftest import Server

ROOT = Path(__file__).parents[2]
PEPPER = "a pepper of the tests, long enough"


async def ran(
    folder: Path, *words: str, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in this folder, with nothing of a database in its environment."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DATABASE_", "TALLYBOOK_", "STRIPE_"))
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(settings or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(server: Server, tmp_path: Path) -> Path:
    """A folder in which an `up` runs on the test's book."""
    data = tmp_path / ".tallybook"
    data.mkdir()
    told = {"database_url": server.application_url, "database_owner_url": server.owner_url}
    (data / "dev.json").write_text(json.dumps(told))
    (data / "secrets.json").write_text(json.dumps({"key_pepper": PEPPER}))
    return tmp_path


async def test_a_key_is_made_on_the_book_that_runs_here(folder: Path, database) -> None:
    done = await ran(folder, "keys", "create", "my-app", "--scope", "service")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tb_")
    assert "On the book that runs in .tallybook." in done.stderr
    listed = await ran(folder, "keys", "list")
    assert "my-app" in listed.stdout
    assert await database.fetchval("SELECT count(*) FROM api_keys WHERE name = 'my-app'") == 1


async def test_a_folder_that_is_named_is_taken_from_anywhere(folder: Path, tmp_path: Path) -> None:
    named = str(folder / ".tallybook")
    done = await ran(Path("/"), "keys", "create", "x", "--scope", "read", "--data-dir", named)
    assert done.returncode == 0, done.stderr


async def test_without_any_book_both_ways_are_told(tmp_path: Path) -> None:
    done = await ran(tmp_path, "ledger", "verify")
    assert done.returncode == 1
    assert "DATABASE_URL is missing" in done.stderr
    assert "--data-dir" in done.stderr


async def test_keys_ask_for_no_more_settings_than_they_use(tmp_path: Path, server: Server) -> None:
    only = {"DATABASE_URL": server.application_url, "DATABASE_OWNER_URL": server.owner_url}
    done = await ran(tmp_path, "keys", "create", "x", "--scope", "read", settings=only)
    assert done.returncode == 1
    assert "TALLYBOOK_KEY_PEPPER" in done.stderr
    assert "STRIPE_WEBHOOK_SECRET" not in done.stderr
    only["TALLYBOOK_KEY_PEPPER"] = PEPPER
    done = await ran(tmp_path, "keys", "create", "x", "--scope", "read", settings=only)
    assert done.returncode == 0, done.stderr


async def test_a_key_with_another_pepper_than_the_books_is_refused(
    folder: Path, superuser, database
) -> None:
    class AsOwner:
        fetchval = superuser.fetchval
        execute = superuser.execute

    await keep_pepper(AsOwner, "the pepper of the servers, and no other")
    done = await ran(folder, "keys", "create", "x", "--scope", "service")
    assert done.returncode == 1
    assert "not the one with which this book's keys were made" in done.stderr
    assert await database.fetchval("SELECT count(*) FROM api_keys WHERE name = 'x'") == 0


async def test_without_a_terminal_a_changed_catalogue_is_applied_by_yes_alone(
    folder: Path, database
) -> None:
    changed = folder / "tiers.toml"
    changed.write_text(default_text().replace("daily_credits = 20\n", "daily_credits = 200\n"))
    refused = await ran(folder, "tiers", "apply", str(changed))
    assert refused.returncode == 1
    assert "--yes" in refused.stdout
    assert await database.fetchval("SELECT count(*) FROM catalogues") == 1
    done = await ran(folder, "tiers", "apply", str(changed), "--yes")
    assert done.returncode == 0, done.stderr
    assert await database.fetchval("SELECT count(*) FROM catalogues") == 2


def test_a_running_books_addresses_and_keys_are_exports_for_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    none = CliRunner().invoke(app, ["env"])
    assert (none.exit_code, "--data-dir names" in none.output) == (1, True)
    told = {
        "base_url": "http://127.0.0.1:8787",
        "database_url": "postgresql://u:p'w@127.0.0.1/tallybook",
        "database_owner_url": None,
        "redis_url": None,
        "stripe_webhook_secret": "whsec_1",
        "cron_secret": "c",
        "keys": {"service": "tb_a", "auditor": "tb_b", "operator": "tb_c"},
    }
    (tmp_path / ".tallybook").mkdir()
    (tmp_path / ".tallybook" / "dev.json").write_text(json.dumps(told))
    secrets = {"key_pepper": "pepper", "seal_key": "PRIVATE+KEY+a+b+c"}
    (tmp_path / ".tallybook" / "secrets.json").write_text(json.dumps(secrets))
    printed = CliRunner().invoke(app, ["env"])
    assert printed.exit_code == 0, printed.output
    script = f'{printed.stdout}\necho "$BASE_URL $SERVICE_KEY $DATABASE_URL"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == f"{told['base_url']} tb_a {told['database_url']}\n"
    assert "REDIS_URL" not in printed.stdout
    lines = printed.stdout.splitlines()
    assert "export TALLYBOOK_KEY_PEPPER=pepper" in lines
    assert "export TALLYBOOK_SEAL_KEY=PRIVATE+KEY+a+b+c" in lines
