"""An evidence file proves a balance where nothing of ours is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.put import put
from app.book import Book
from app.cli.ledger import erase
from app.errors import NotSealedError
from app.infrastructure.db import Database
from app.seals import log_tree, notes, sealer, stored
from app.seals.evidence import evidence, require_numbers, written
from app.seals.leaves import canonical
from app.seals.recompute import wrong_seals
from ops import verify_evidence
from ops.verify_evidence import RefusedError, verify
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import NOW, PEPPER, SEAL_KEY, Server, open_database
from tests.seals.acts import evidence_of, open_and_spend, resigned

SCRIPT = Path(verify_evidence.__file__)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def busy(api: Api, book: Book) -> Book:
    """A book in which two accounts have done a bit of everything, sealed twice."""
    mine = Acts(api, "user-1")
    await put(book, "user-1", None, None, "tests")
    await open_and_spend(book, "user-2", 1)
    await mine.spend(1, label="draw", reason="a rendering für Zoë 🖼")
    hold = await mine.held(3)
    await sealer.seal(book, 60)
    await api.set_clock(NOW + 60 * SECOND)
    await mine.post(f"holds/{hold}/capture", {"amount": 2})
    await open_and_spend(book, "user-2", 2)
    await sealer.seal(book, 60)
    return book


@pytest.fixture
async def file(busy: Book) -> bytes:
    """The evidence of user-1."""
    return await evidence_of(busy.database, "user-1")


def alone(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier as an auditor does: no package of ours or of others to import."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(path), *options],
        capture_output=True, text=True, check=False, cwd="/", timeout=60,
    )  # fmt: skip


async def test_it_proves_the_balance_and_says_so(file: bytes, folder: Path) -> None:
    path = folder / "evidence.json"
    path.write_bytes(file)
    told = alone(path, "--key", notes.signer(SEAL_KEY).told)
    assert (told.returncode, told.stderr) == (0, "")
    assert "All 5 entries of account 1 (user-1) are in the log, unchanged" in told.stdout
    assert "is 2 (2 free, 0 held, 0 debt), and follows from them." in told.stdout
    assert "part of the book's totals: 2 accounts, 4 free, 0 held, 0 debt." in told.stdout
    path.write_bytes(file.replace(b'"free_after":2', b'"free_after":3'))
    told = alone(path)
    assert (told.returncode, told.stdout) == (
        1,
        "REFUSED: the file is not what its SHA-256 says.\n",
    )


def test_the_verifier_is_short_and_imports_the_standard_library_alone() -> None:
    text = SCRIPT.read_text("utf-8")
    assert text.count("\n") < 400
    imported = {
        line.split()[1].split(".")[0]
        for line in text.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("trusted", ["other", "own"])
async def test_a_key_that_did_not_sign_is_told(file: bytes, trusted: str) -> None:
    key = notes.signer(
        SEAL_KEY if trusted == "own" else notes.new_private_key("books.example")
    ).told
    if trusted == "own":
        assert verify(file, [key])
    else:
        with pytest.raises(RefusedError, match="signed by none"):
            verify(file, [key])


@pytest.fixture(params=["whole", "erased"])
async def either(
    request: pytest.FixtureRequest, busy: Book, server: Server, monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """The evidence of user-1, and what is left of it once the person was erased."""
    if request.param == "erased":
        monkeypatch.setenv("DATABASE_URL", server.owner_url)
        monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", PEPPER)
        await erase("user-1", "asked for")
    name = await busy.database.fetchval(
        """SELECT public_id FROM account_names JOIN entries USING (account_id)
            WHERE entries.kind = 'hold'"""
    )
    told = await evidence_of(busy.database, name)
    withheld = [one["act"] is None for one in json.loads(told)["entries"]]
    assert any(withheld) == (request.param == "erased")
    return told


async def test_any_changed_byte_is_refused(either: bytes) -> None:
    file = either

    @given(st.integers(0, len(file) - 1), st.integers(1, 255))
    def changed(at: int, by: int) -> None:
        forged = bytearray(file)
        forged[at] ^= by
        with pytest.raises((RefusedError, ValueError)):
            verify(bytes(forged))

    changed()


def scalars(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value of a file that has no parts."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from scalars(one, (*way, key))
    else:
        yield way


async def test_any_changed_value_is_refused_though_the_files_own_hash_fits(
    either: bytes,
) -> None:
    file, tried = either, 0
    for way in scalars(json.loads(file)):
        if way[0] in ("sha256", "at", "since"):  # what is asked, and no statement
            continue
        told = json.loads(file)
        place = told
        for key in way[:-1]:
            place = place[key]
        old = place[way[-1]]
        if isinstance(old, int):
            place[way[-1]] = old + 1
        else:
            place[way[-1]] = f"{old}x" if old and way[-1] != "checkpoint" else f"x{old}"
        with pytest.raises((RefusedError, ValueError, TypeError)):
            verify(resigned(told))
        tried += 1
    assert tried > 190


async def test_an_entry_that_is_left_out_is_missed(busy: Book, file: bytes) -> None:
    """Though the proofs are made as if it had never been asked for."""
    for number in range(5):
        told = json.loads(file)
        del told["entries"][number]
        indexes = sorted(one["index"] for one in told["entries"])
        size = (await stored.seal(busy.database)).size
        spans = list(log_tree.inclusion_of_many(indexes, size))
        hashes = await stored.hashes_of(busy.database, spans)
        told["nodes"] = [stored.in_base64(one) for one in hashes]
        with pytest.raises(RefusedError, match=r"left out|not what its entries say"):
            verify(resigned(told))


async def test_the_balance_of_an_earlier_instant_follows_under_the_newest_head(busy: Book) -> None:
    said = verify(await evidence_of(busy.database, "user-1", at=NOW + SECOND))
    assert any("2026-01-01T12:00:01Z is 4 (1 free, 3 held, 0 debt)" in one for one in said)
    elsewhere = (NOW + SECOND).astimezone(timezone(timedelta(hours=2)))
    assert verify(await evidence_of(busy.database, "user-1", at=elsewhere)) == said
    with pytest.raises(NotSealedError):
        await evidence_of(busy.database, "user-1", at=NOW + 61 * SECOND)


async def test_an_entry_that_is_not_sealed_yet_is_waited_for(busy: Book, api: Api) -> None:
    await open_and_spend(busy, "user-1", 1)
    told = await api.get("/api/v1/accounts/user-1/evidence", "auditor")
    assert (told.status_code, told.json()["code"], told.json()["retryable"]) == (
        409,
        "not_sealed",
        True,
    )
    assert (await api.get("/api/v1/accounts/user-2/evidence", "auditor")).status_code == 200
    await sealer.seal(busy, 60)
    told = await api.get("/api/v1/accounts/user-1/evidence", "auditor")
    assert any("is 1 (1 free" in one for one in verify(told.content))
    assert (await api.get("/api/v1/accounts/nobody/evidence", "auditor")).status_code == 404


async def test_an_account_without_entries_is_shown_to_have_none(busy: Book) -> None:
    number = await busy.database.fetchval(
        """INSERT INTO accounts (external_id, opened_at, tier, due_at)
           VALUES ('user-7', now(), 'FREE', '9999-12-31') RETURNING id"""
    )
    file = await evidence_of(busy.database, "user-7")
    assert any(f"All 0 entries of account {number}" in one for one in verify(file))
    told = json.loads(file)
    told["accounts"][0]["account"] = 1  # which has some
    with pytest.raises(RefusedError, match="not in the sum"):
        verify(resigned(told))


async def test_a_log_that_continues_an_older_head_says_so(busy: Book) -> None:
    first = await busy.database.fetchval("SELECT min(size) FROM seals")
    older = (await stored.seal(busy.database, first)).note
    file = await evidence_of(busy.database, "user-1", since=first)
    assert f"The log begins with all {first} entries" in verify(file, older=older)[-1]
    with pytest.raises(RefusedError, match="proves nothing since"):
        verify(await evidence_of(busy.database, "user-1"), older=older)
    forged = older.replace(older.split("\n")[2], "A" * 43 + "=")
    with pytest.raises(RefusedError, match="FORK"):
        verify(file, older=forged)


async def test_what_is_withheld_breaks_no_proof_and_reveals_nothing(
    busy: Book, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.owner_url)
    monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", PEPPER)
    await erase("user-1", "asked for")
    name = await busy.database.fetchval("SELECT public_id FROM account_names WHERE account_id = 1")
    assert [one async for one in wrong_seals(busy.database)] == []
    file = await evidence_of(busy.database, name)
    assert "für Zoë".encode() not in file
    told = json.loads(file)
    assert [one["text"] for one in told["entries"] if one["leaf"]["text"]] == [None]
    assert told["accounts"][0]["names"][0]["salt"] is None
    assert any("its name is withheld" in one for one in verify(file))


async def test_another_account_of_an_erased_journal_keeps_its_proof(
    busy: Book, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No act writes such a journal today; the ledger allows it."""
    await open_and_spend(busy, "user-2", 1)
    async with open_database(server.superuser_url, 1) as hand:
        await hand.execute(
            """SET session_replication_role = replica;
               UPDATE entries SET journal_id = (SELECT journal_id FROM notes WHERE reason <> '')
                WHERE id = (SELECT max(id) FROM entries)"""
        )
    await sealer.seal(busy, 60)
    before = json.loads(await evidence_of(busy.database, "user-2"))
    assert before["entries"][-1]["text"]["value"]["reason"].startswith("a rendering")
    monkeypatch.setenv("DATABASE_URL", server.owner_url)
    monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", PEPPER)
    await erase("user-1", "asked for")
    after = await evidence_of(busy.database, "user-2")
    assert verify(after)
    assert json.loads(after)["entries"][-1]["text"] is None


async def test_an_account_is_proven_with_those_that_were_joined_to_it(
    api: Api, book: Book, database: Database
) -> None:
    await open_and_spend(book, "user-1", 1)
    await open_and_spend(book, "user-2", 2)
    body = {"into": "user-2", "reason": "one person"}
    merged = await Acts(api, "user-1").post("accounts/user-1/merge", body, scope="operator")
    assert merged.status_code == 200, merged.text
    await sealer.seal(book, 60)
    numbers = await require_numbers(database, "user-2")
    assert len(numbers) == 2
    told = await evidence(database, "user-2", numbers)
    balance = await database.fetchval("SELECT sum(free) FROM accounts")
    assert any(f"is {balance} ({balance} free" in one for one in verify(written(told)))


def test_the_verifiers_ed25519_agrees_with_a_library() -> None:
    signer = notes.signer(SEAL_KEY)
    for number in range(8):
        message = bytes([number]) * number * 40
        signature = signer.key.sign(message)
        assert verify_evidence.is_signature(signer.public_key, message, signature)
        assert not verify_evidence.is_signature(signer.public_key, message + b"!", signature)
        wrong = bytearray(signature)
        wrong[number * 8] ^= 1
        assert not verify_evidence.is_signature(signer.public_key, message, bytes(wrong))


def test_the_canonical_form_is_the_same_on_both_sides() -> None:
    value = {"b": 'ü\u2028\u007f\u0001"\\/\n🖼', "a": [1, 2**53 - 1, None, True], "Z": ""}
    assert canonical(value) == verify_evidence.canonical(value)
    assert sha256(canonical(value)).hexdigest()
