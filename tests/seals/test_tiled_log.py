"""The log at C2SP's paths, read by those who know nothing of ours."""

from __future__ import annotations

import json

import pytest
from pymerkle import InmemoryTree

from app.book import Book
from app.errors import SealUnknownError
from app.seals import notes, sealer, tiled_log
from app.seals.checkpoint import Head
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import Server, open_database
from tests.seals.acts import open_and_spend

LOG = "/api/v1/seals/log"


def cut(bundle: bytes) -> list[bytes]:
    """The entries of a bundle."""
    entries = []
    while bundle:
        length = 2 + int.from_bytes(bundle[:2])
        entries.append(bundle[2:length])
        bundle = bundle[length:]
    return entries


async def test_the_log_is_read_by_its_checkpoint_tiles_and_bundles(api: Api, book: Book) -> None:
    """256 leaves and some, so that a tile is full; pymerkle makes the root of what is served."""
    mine = Acts(api, "user-1")
    for number in range(130):
        await open_and_spend(book, f"user-{number}", 1)
    secret = {"reason": "secret words", "label": "secret-label", "member": "secret-member"}
    assert (await mine.spend(1, **secret)).status_code == 201
    await sealer.seal(book, 60)
    answer = await api.get(f"{LOG}/checkpoint", "auditor")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    head = Head.read(notes.split(answer.text)[0])
    assert 256 < head.size < 512
    bundles = b""
    for path in ("000", f"001.p/{head.size - 256}"):
        answer = await api.get(f"{LOG}/tile/entries/{path}", "auditor")
        assert answer.headers["content-type"] == "application/octet-stream"
        bundles += answer.content
    theirs = InmemoryTree(algorithm="sha256")
    for entry in cut(bundles):
        theirs.append_entry(entry)
    assert theirs.get_size() == head.size
    assert theirs.get_state() == head.root
    hashes = (await api.get(f"{LOG}/tile/0/000", "auditor")).content
    assert hashes == b"".join(theirs.get_leaf(at) for at in range(1, 257))
    above = (await api.get(f"{LOG}/tile/1/000.p/1", "auditor")).content
    assert above == theirs.get_state(256)
    # No text, and no salt by which one could be guessed.
    assert b"secret" not in bundles
    assert b"user-1" not in bundles
    assert "salt" not in json.loads(cut(bundles)[0])


@pytest.mark.parametrize(
    "path",
    [
        *("0/1", "0/0000", "0/x000/000", "0/x000/001", "00/000", "64/000", "0/000.p/0"),
        *("0/000.p/256", "0/000.p/01", "0/001", "1/000.p/1", "entries/000.p/200", "entries/001"),
        *("entries", "0/000/", "0//000", "-1/000", "0/x999/x999/x999/x999/999", "9/000"),
    ],
)
async def test_what_is_no_tile_of_the_log_is_not_found(api: Api, book: Book, path: str) -> None:
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(book, 60)
    answer = await api.get(f"{LOG}/tile/{path}", "auditor")
    assert answer.status_code == 404


def test_numbers_go_by_threes() -> None:
    assert tiled_log.place_of("0/x001/x234/067") == (0, 1_234_067, 256)
    assert tiled_log.place_of("entries/999.p/7") == (None, 999, 7)
    assert tiled_log.place_of("2/x001/000") == (2, 1_000, 256)


async def test_a_bundle_of_a_ledger_that_lost_an_entry_is_refused(
    book: Book, server: Server
) -> None:
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(book, 60)
    async with open_database(server.superuser_url, 1) as hand:
        await hand.execute("SET session_replication_role = replica")
        await hand.execute("DELETE FROM entries WHERE id = (SELECT max(id) FROM entries)")
    with pytest.raises(SealUnknownError, match="lacks entries"):
        await tiled_log.bundle(book.database, 0, 2)
