"""A witness cosigns what continues what it saw, and refuses a fork."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog

from app.book import Book
from app.embedded.ports import free_port
from app.jobs.tick import tick
from app.seals import notes, stored, witnesses
from ops import verify_evidence
from ops.verify_evidence import RefusedError, verify
from tests.conftest import SEAL_KEY, Server, new_server, open_database
from tests.seals.acts import evidence_of, open_and_spend

SCRIPT = Path(verify_evidence.__file__).with_name("witness.py")


@pytest.fixture
def witness(folder: Path) -> Iterator[tuple[str, str]]:
    """The address and the key of one that runs as a process of its own."""
    made = subprocess.run(
        [sys.executable, "-E", "-S", str(SCRIPT), "key", "watch.example"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (folder / "key").write_text(made.stdout)
    port, key = free_port(), made.stderr.strip()
    words = ("serve", folder / "key", folder / "state", port, notes.signer(SEAL_KEY).told)
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, words)], stderr=subprocess.DEVNULL
    )
    ends_at = time.monotonic() + 20
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.post(f"{url}/", content=b"?")
            break
        except httpx.ConnectError:
            assert time.monotonic() < ends_at, "the witness does not answer"
            time.sleep(0.05)
    yield url, key
    process.terminate()
    process.wait(10)


async def test_each_tick_has_the_newest_seal_cosigned(book: Book, witness: tuple[str, str]) -> None:
    watched = replace(book, witnesses=(witness,))
    for _ in range(3):
        await open_and_spend(book, "user-1", 1)
        await tick(watched)
        newest = await stored.seal(book.database)
        text, lines = notes.split(newest.note)
        assert len(lines) == 2
        assert abs((notes.cosigner(text, lines[1], witness[1]) or 0) - time.time()) < 60
    file = await evidence_of(book.database, "user-1")
    assert any("watch.example saw this head" in one for one in verify(file, (), [witness[1]]))
    stranger = notes.verifier_key("watch.example", bytes(31) + b"\1", notes.COSIGNATURE)
    with pytest.raises(RefusedError, match="did not cosign"):
        verify(file, (), [stranger])


async def test_it_refuses_a_fork_and_goes_on_with_the_first_log(
    book: Book, witness: tuple[str, str]
) -> None:
    watched = replace(book, witnesses=(witness,))
    await open_and_spend(book, "user-1", 1)
    await tick(watched)
    async with new_server() as other:
        assert isinstance(other, Server)
        async with open_database(other.application_url) as database:
            forked = replace(watched, database=database)
            await open_and_spend(forked, "user-1", 2)
            await open_and_spend(forked, "user-1", 1)
            with structlog.testing.capture_logs() as logged:
                await tick(forked)
            assert [one["event"] for one in logged if one["log_level"] == "error"] == [
                "witness_refused"
            ]
            assert await database.fetchval("SELECT count(*) FROM seal_cosignatures") == 0
    await open_and_spend(book, "user-1", 1)
    await tick(watched)
    assert await book.database.fetchval("SELECT count(*) FROM seal_cosignatures") == 2


async def test_a_witness_that_is_away_holds_nothing_up(book: Book) -> None:
    key = notes.verifier_key("watch.example", bytes(31) + b"\1", notes.COSIGNATURE)
    away = replace(book, witnesses=((f"http://127.0.0.1:{free_port()}", key),))
    await open_and_spend(book, "user-1", 1)
    with structlog.testing.capture_logs() as logged:
        await tick(away)
    assert "witness_away" in [one["event"] for one in logged]
    assert (await stored.seal(book.database)).size > 0
    await witnesses.ask_witnesses(replace(away, witnesses=()))
