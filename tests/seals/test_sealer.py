"""The sealer extends the log by what was committed, and signs the head."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.seals import balance_tree, leaves, log_tree, notes, sealer, stored
from app.seals.checkpoint import Head
from app.seals.tiles_on_disk import TilesOnDisk
from tests.conftest import SEAL_KEY
from tests.seals.acts import leaves_of, open_and_spend

pytestmark = pytest.mark.usefixtures("database")


async def test_a_tick_seals_what_was_committed_and_nothing_twice(book: Book) -> None:
    await open_and_spend(book, "user-1", 3)
    await tick(book)
    first = await stored.seal(book.database)
    await tick(book)
    assert (await stored.seal(book.database)).note == first.note
    count = await book.database.fetchval("SELECT count(*) FROM entries")
    assert first.size == Head.read(notes.split(first.note)[0]).size == count > 0
    await open_and_spend(book, "user-2", 2)
    await tick(book)
    assert (await stored.seal(book.database)).size > first.size


async def test_the_root_is_the_one_of_rfc_9162(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer, "CHUNK_LEAVES", 7)
    for number in range(9):
        await open_and_spend(book, f"user-{number}", 3)
    await sealer.seal(book, 60)
    told = await leaves_of(book.database)
    assert len(told) > 16
    theirs = InmemoryTree(algorithm="sha256")
    for number, leaf in enumerate(told, 1):
        theirs.append_entry(leaves.leaf_bytes(leaf))
        row = await book.database.fetchval("SELECT root FROM seals WHERE size = $1", number)
        if number % 7 == 0 or number == len(told):
            assert row == theirs.get_state()
    newest = await stored.seal(book.database)
    assert Head.read(notes.split(newest.note)[0]).root == theirs.get_state()


async def test_the_balances_root_states_the_sums_of_all_accounts(book: Book) -> None:
    for number in range(40):
        await open_and_spend(book, f"user-{number}", number % 4 + 1)
    await sealer.seal(book, 60)
    await open_and_spend(book, "user-3", 1)
    await sealer.seal(book, 60)
    newest = await stored.seal(book.database)
    sums = await book.database.fetchrow(
        "SELECT count(*), sum(free), sum(held), sum(debt) FROM accounts"
    )
    assert tuple(balance_tree.sums_of(newest.balances_root)) == tuple(sums)
    rows = await book.database.fetch(
        """SELECT id AS account,
                  (SELECT max(id) FROM entries WHERE account_id = accounts.id) AS entry,
                  (SELECT count(*) FROM entries WHERE account_id = accounts.id) AS entries,
                  free, held, debt FROM accounts"""
    )
    built = {row["account"]: balance_tree.leaf(balance_tree.Balance(**row)) for row in rows}
    assert newest.balances_root == balance_tree.update({}, built)[0]


async def test_the_head_is_signed_and_names_the_one_before(book: Book) -> None:
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(book, 60)
    first = await stored.seal(book.database)
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(book, 60)
    text, lines = notes.split((await stored.seal(book.database)).note)
    before = base64.b64encode(hashlib.sha256(notes.split(first.note)[0].encode()).digest()).decode()
    assert f"previous {first.size} {before}\n" in text
    signer = notes.signer(SEAL_KEY)
    signature = base64.b64decode(lines[0].split(" ")[2])
    assert lines[0].startswith("— books.example ")
    assert signature[:4].hex() == signer.told.split("+")[1]
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signature[4:], text.encode())


async def test_while_a_key_rolls_both_sign(book: Book) -> None:
    second = notes.new_private_key("books.example")
    both = Book(book.database, seal_keys=(second, SEAL_KEY))
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(both, 60)
    _, lines = notes.split((await stored.seal(book.database)).note)
    assert len(lines) == 2
    known = {row["verifier_key"] for row in await stored.keys(book.database)}
    assert known == {notes.signer(second).told, notes.signer(SEAL_KEY).told}


async def test_an_account_is_sealed_under_each_of_its_names(book: Book) -> None:
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(book, 60)
    await book.database.execute("UPDATE accounts SET external_id = 'user-9'")
    await open_and_spend(book, "user-9", 1)
    await sealer.seal(book, 60)
    names = await book.database.fetch("SELECT name, salt, hash FROM seal_names ORDER BY 1")
    assert [row["name"] for row in names] == ["user-1", "user-9"]
    told = await leaves_of(book.database)
    assert {leaf.name for leaf in told} == {
        leaves.salted(row["salt"], row["name"]) for row in names
    }


async def test_without_a_key_nothing_is_sealed(database: Database) -> None:
    book = Book(database)
    await put(book, "user-1", None, None, "tests")
    assert await sealer.seal(book, 60) is None
    assert await database.fetchval("SELECT count(*) FROM seals") == 0


async def test_a_second_sealer_leaves_the_work_to_the_first(book: Book) -> None:
    await open_and_spend(book, "user-1", 1)
    async with book.database.transaction():
        await book.database.fetchval("SELECT pg_advisory_xact_lock('seals'::regclass::oid::int, 0)")
        other = Database(book.database.url, 1)
        await other.open()
        assert await sealer.seal(Book(other, seal_keys=(SEAL_KEY,)), 60) is None
        await other.close()


def test_a_proof_of_ten_million_leaves_reads_three_tiles() -> None:
    for index in (0, 4_999_999, 9_999_999):
        spans = log_tree.inclusion_path(index, 10_000_000)
        assert len(log_tree.tiles_of(spans)) <= 5


def test_a_tree_on_disk_is_the_one_in_memory() -> None:
    in_memory: dict[balance_tree.TileId, bytes] = {}
    with TilesOnDisk(70_000) as on_disk:
        for turn in range(1, 4):
            changed = {
                account: balance_tree.leaf(balance_tree.Balance(account, turn, turn, account, 2, 1))
                for account in (0, 1, 15, 16, 255, 256, 4_097, 65_535, 70_000)[: 3 * turn]
            }
            root, tiles = balance_tree.update(in_memory, changed)
            assert balance_tree.update(on_disk, changed) == (root, tiles)
            in_memory |= tiles
            on_disk.update(tiles)
        assert on_disk.get((0, 3), b"none") in (b"none", bytes(16 * 96))


def test_sums_beyond_64_bits_stay_apart() -> None:
    most = balance_tree.Balance(1, 1, 1, 2**53 - 1, 2**53 - 1, 2**53 - 1)
    node, left = balance_tree.leaf(most), 1
    for _ in range(30):
        node, left = balance_tree.join(node, node), 2 * left
    sums = balance_tree.sums_of(node)
    assert sums == (left, *[left * (2**53 - 1)] * 3)
    assert sums.free > 2**64
