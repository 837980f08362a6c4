"""A leaf's bytes are canonical JSON (RFC 8785), whoever writes them."""

from __future__ import annotations

import json
from hashlib import sha256

import msgspec
import pytest

from app.book import Book
from app.infrastructure.db import Database
from app.seals import leaves, recompute, sealer
from app.seals.leaves import Leaf
from ops import verify_evidence
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import Server, open_database
from tests.seals.acts import evidence_of, open_and_spend

# Of a book that was sealed before: the bytes of its leaves must not change.
LEAF = (
    b'{"account":1,"act":"00","amount":3,"credit":"spent","debit":"free","debt_after":0,'
    b'"effective_at":"2026-01-01T12:00:00Z","entry":7,"event":null,"free_after":2,"held_after":0,'
    b'"hold":null,"journal":5,"journal_effective_at":"2026-01-01T12:00:00Z",'
    b'"journal_kind":"spend","journal_recorded_at":"2026-01-01T12:00:00.000120Z","kind":"spend",'
    b'"lot":1,"lot_priority":100,"lot_source":"daily","name":"11","nth":2,'
    b'"recorded_at":"2026-01-01T12:00:00.000120Z","reverses":null,"reverses_journal":null,'
    b'"run":null,"source":"api","text":null}'
)


def test_a_leafs_bytes_are_what_they_always_were() -> None:
    leaf = msgspec.json.decode(LEAF, type=Leaf)
    assert leaves.leaf_bytes(leaf) == LEAF
    assert verify_evidence.canonical(json.loads(LEAF)) == LEAF
    assert list(Leaf.__struct_fields__) == sorted(Leaf.__struct_fields__)


async def test_every_leaf_is_canonical(api: Api, book: Book) -> None:
    mine = Acts(api, "user-1")
    await open_and_spend(book, "user-1", 1)
    await mine.spend(1, label="draw", reason='a "page"\\\t für Zoë 🖼', metadata={"é": "\u2028"})
    await mine.held(1)
    await sealer.seal(book, 60)
    written = [one async for one in recompute.leaves_of(book.database)]
    assert len(written) == 4  # the day, two spends, the hold
    for one in written:
        assert verify_evidence.canonical(json.loads(one)) == one
        assert leaves.leaf_bytes(leaves.read(one)) == one


async def test_postgresql_writes_hidden_parts_as_the_verifier_does(
    api: Api, book: Book, server: Server
) -> None:
    """Every character that a key or a text may hold, and some that none may."""
    mine = Acts(api, "user-1")
    await open_and_spend(book, "user-1", 1)
    assert (await mine.spend(1, reason="x", member="m")).status_code == 201
    strange = "".join(map(chr, [*range(1, 0x300), 0x2028, 0xFEFF, 0xFFFD, 0x1F5BC]))
    async with open_database(server.superuser_url, 1) as hand:
        await hand.execute("SET session_replication_role = replica")
        await hand.execute("UPDATE notes SET reason = $1 WHERE reason IS NOT NULL", strange)
        await hand.execute(
            "UPDATE journals SET idempotency_key = $1, actor = $1 WHERE member = 'm'", strange
        )
    await sealer.seal(book, 60)
    told = json.loads(await evidence_of(book.database, "user-1"))
    (one,) = [one for one in told["entries"] if one["text"]]
    assert one["text"]["value"]["reason"] == strange
    assert one["act"]["value"]["idempotency_key"] == strange
    for part in ("act", "text"):
        shown = verify_evidence.canonical(one[part]["value"])
        salted = sha256(bytes.fromhex(one[part]["salt"]) + shown).hexdigest()
        assert salted == one["leaf"][part]


@pytest.mark.parametrize("member", ["actor", "idempotency_key", "request_hash"])
async def test_an_act_without_a_key_tells_null(book: Book, database: Database, member: str) -> None:
    await open_and_spend(book, "user-1", 1)
    await sealer.seal(book, 60)
    told = json.loads(await evidence_of(database, "user-1"))
    opening = told["entries"][0]["act"]["value"]
    assert list(opening) == ["actor", "idempotency_key", "request_hash"]
    assert (opening[member] is None) == (member != "actor")
