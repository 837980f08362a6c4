"""What a person can mend is told in a sentence with the remedy, and never as a traceback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib import metadata
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from app.cli import app, main
from tests.conftest import Server, on_database


async def refused(*words: str, **settings: str) -> str:
    """The one sentence that a command says before it ends with 1."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", *words],
        env={**clean, **settings, "COLUMNS": "200"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize(
    "words", [("ledger", "verify"), ("grants", "list"), ("tiers", "show"), ("migrate",)]
)
async def test_a_database_that_is_away_is_a_sentence(words: tuple[str, ...]) -> None:
    told = await refused(*words, DATABASE_URL="postgresql://a:b@127.0.0.1:1/c")
    assert told.startswith("The database")
    assert "does not answer" in told


async def test_an_address_that_is_none_is_a_sentence_that_shows_no_secret() -> None:
    told = await refused("ledger", "verify", DATABASE_URL="mysql://a:secret@127.0.0.1:1/c")
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in told
    assert "secret" not in told


async def test_a_wrong_password_is_a_sentence(server: Server) -> None:
    url = urlsplit(server.application_url)
    wrong = urlunsplit(url._replace(netloc=f"tallybook:wrong@{url.netloc.rpartition('@')[2]}"))
    told = await refused("tiers", "show", DATABASE_URL=wrong)
    assert told.endswith("Correct DATABASE_URL.")


async def test_a_database_without_tables_is_told_the_command(server: Server) -> None:
    owner = await asyncpg.connect(server.superuser_url)
    await owner.execute(f"CREATE DATABASE empty_{server.name}")
    try:
        url = on_database(server.application_url, f"empty_{server.name}")
        told = await refused("grants", "list", DATABASE_URL=url)
    finally:
        await owner.execute(f"DROP DATABASE empty_{server.name} WITH (FORCE)")
        await owner.close()
    assert told.endswith("run `tallybook migrate`.")


async def test_a_file_that_cannot_be_written_is_named(server: Server) -> None:
    told = await refused(
        "ledger", "export", "--output", "/nowhere/at/all.csv", DATABASE_URL=server.application_url
    )
    assert told.startswith("/nowhere/at/all.csv: ")


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output) == (0, f"tallybook {metadata.version('tallybook')}\n")


@pytest.mark.parametrize("words", [["help"], ["help", "grants", "list"]])
def test_help_is_also_a_word(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tallybook", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert " ".join(["Usage: tallybook", *words[1:]]) in capsys.readouterr().out
