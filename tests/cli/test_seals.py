"""`tallybook seal` and `tallybook evidence`: what the API does, at the machine."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner

from app.book import Book
from app.cli import app
from app.infrastructure import ids
from app.infrastructure.settings import Settings
from app.seals import cose, notes
from ops.verify_evidence import verify
from tests.conftest import SEAL_KEY
from tests.seals.acts import open_and_spend

Told = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def told(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    """Run a command on the test's book: its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TALLYBOOK_SEAL_KEY", SEAL_KEY)

    async def command(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        return done.exit_code, done.output

    return command


async def test_a_seal_is_made_and_evidence_written_and_compared(
    told: Told, book: Book, tmp_path: Path
) -> None:
    await open_and_spend(book, "user-1", 1)
    code, said = await told("evidence", "user-1")
    assert (code, "Nothing was sealed yet" in said) == (1, True)
    code, first = await told("seal", "now")
    assert (code, first.split("\n")[:2]) == (0, ["books.example", "2"])
    old = tmp_path / "old.checkpoint"
    old.write_text(first)
    await open_and_spend(book, "user-1", 1)
    assert (await told("seal", "now"))[0] == 0
    code, said = await told("seal", "list", "--json")
    listed = json.loads(said)
    assert (code, [one["entries"] for one in listed]) == (0, [3, 2])
    assert listed[1]["root"] == first.split("\n")[2]
    code, said = await told("evidence", "user-1", "--output", "new.json", "--since", "2")
    assert (code, "ops/verify_evidence.py checks it" in said) == (0, True)
    file = (tmp_path / "new.json").read_bytes()
    assert "begins with all 2 entries" in verify(file, older=first)[-1]
    code, said = await told("evidence", "compare", str(old), "new.json")
    assert (code, said) == (0, "The log of 3 entries begins with the 2 of before.\n")
    code, said = await told("evidence", "compare", "new.json", str(old))
    assert (code, said.startswith("FORK: the newer head has 2 entries")) == (1, True)
    code, said = await told("evidence", "of", "user-1", "--html", "--output", "page.html")
    assert (code, b"Checking" in (tmp_path / "page.html").read_bytes()) == (0, True)
    old.write_text("nothing")
    assert (await told("evidence", "compare", str(old), "new.json"))[0] == 1


async def test_a_key_is_made_that_a_start_takes(told: Told) -> None:
    code, key = await told("seal", "key", "books.example.com")
    assert (code, notes.signer(key.strip()).name) == (0, "books.example.com")
    assert (await told("seal", "key", "two words"))[0] == 1


async def test_without_a_key_nothing_is_sealed(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYBOOK_SEAL_KEY")
    code, said = await told("seal", "now")
    assert (code, "TALLYBOOK_SEAL_KEY is missing" in said) == (1, True)


async def test_a_receipt_proves_a_single_entry_as_cose_wants_it(
    told: Told, book: Book, tmp_path: Path
) -> None:
    for number in range(3):
        await open_and_spend(book, f"user-{number}", 1)
    await told("seal", "now")
    code, leaf = await told("evidence", "receipt", ids.public(ids.ENTRY, 3), "receipt.cbor")
    assert code == 0
    value, rest = decode((tmp_path / "receipt.cbor").read_bytes())
    protected, unprotected, payload, signature = value
    assert (rest, payload) == (b"", None)
    signer = notes.signer(SEAL_KEY)
    key_id = bytes.fromhex(signer.told.split("+")[1])
    assert decode(protected)[0] == {1: -8, 4: key_id, 395: 1}
    size, index, path = decode(unprotected[396][-1][0])[0]
    assert (size, index) == (6, 2)
    root = hashlib.sha256(b"\0" + leaf.strip().encode()).digest()
    fn, sn = index, size - 1
    for node in path:  # RFC 9162, 2.1.3.2
        if fn & 1 or fn == sn:
            root = hashlib.sha256(b"\1" + node + root).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = hashlib.sha256(b"\1" + root + node).digest()
        fn, sn = fn >> 1, sn >> 1
    signed = cose.encode(["Signature1", protected, b"", root])
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signature, signed)
    assert (await told("evidence", "receipt", ids.public(ids.ENTRY, 99), "none.cbor"))[0] == 1


def decode(data: bytes) -> tuple[Any, bytes]:
    """The first CBOR value, and the bytes after it."""
    major, info, data = data[0] >> 5, data[0] & 31, data[1:]
    if info >= 24 and major != 7:
        width = 1 << (info - 24)
        info, data = int.from_bytes(data[:width]), data[width:]
    if major in (0, 1):
        return (info if major == 0 else -1 - info), data
    if major in (2, 3):
        return data[:info] if major == 2 else data[:info].decode(), data[info:]
    if major == 6:
        assert info == 18, "no COSE_Sign1"
        return decode(data)
    if major == 7:
        assert info == 22, "not null"
        return None, data
    values = []
    for _ in range(info * (2 if major == 5 else 1)):
        value, data = decode(data)
        values.append(value)
    return (values if major == 4 else dict(zip(values[::2], values[1::2], strict=True))), data
