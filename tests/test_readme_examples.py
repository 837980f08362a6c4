"""The README's examples, run as they stand against a real server."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.infrastructure.db import Database
from app.operators.keys import Scope
from tests.as_owner import make_key
from tests.conftest import Server
from tests.served_book import served

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PEPPER = "pepper-of-the-tests-000"
# Says each answer's status instead of its body.
CURL = "curl() { command curl --silent --output /dev/null --write-out '%{http_code}\\n' \"$@\"; }\n"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [block for block in found if re.search(r"\bBASE\b", block)]


def variables(server: Server) -> dict[str, str]:
    return {
        "DATABASE_URL": server.application_url,
        "STRIPE_WEBHOOK_SECRET": "whsec_first_of_the_tests",
        "CRON_SECRET": "cron-secret-of-the-tests",
        "TALLYBOOK_KEY_PEPPER": PEPPER,
    }


def run_shell(script: str, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        ["bash", "-eu", "-c", CURL + script],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def run_python(source: str, names: dict[str, str]) -> None:
    space: dict[str, Any] = dict(names)
    exec(compile(source, "README.md", "exec"), space)
    space["tallybook"].close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_examples_for_curl_are_answered_with_success(
    server: Server, database: Database
) -> None:
    key = await make_key(database, PEPPER, "readme", [Scope.SERVICE])
    settings = variables(server)
    async with served(settings) as base:
        names = {"BASE": base, "SERVICE_KEY": key, "CRON_SECRET": settings["CRON_SECRET"]}
        (script, *others) = blocks("sh")
        answers = await asyncio.to_thread(run_shell, script, names)
        assert answers == ["201", "201"], "an account, and a spend"
        assert await asyncio.to_thread(run_shell, script, names) == ["200", "201"], "repeated"
        for other in others:
            assert set(await asyncio.to_thread(run_shell, other, names)) <= {"200", "201"}
    spent = await database.fetchval("SELECT sum(amount) FROM entries WHERE kind = 'spend'")
    assert spent == 3, "once, though it was sent twice"


async def test_the_example_in_python_spends_and_tells_when_credits_are_out(
    server: Server, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await make_key(database, PEPPER, "readme", [Scope.SERVICE])
    async with served(variables(server)) as base:
        names = {"BASE": base, "SERVICE_KEY": key}
        (source,) = blocks("python")
        await asyncio.to_thread(run_python, source, names)
    assert "out of credits until 20" in capsys.readouterr().out
    spent = await database.fetchval("SELECT sum(amount) FROM entries WHERE kind = 'spend'")
    assert spent == 3
