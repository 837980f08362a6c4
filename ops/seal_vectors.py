"""Write ops/seal_vectors.json: what a verifier of another hand must agree with.

`python -m ops.seal_vectors` writes it. Nothing in it is drawn: the keys are made of fixed seeds.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.seals import balance_tree, cose, leaves, log_tree, notes
from app.seals.balance_tree import Balance
from app.seals.checkpoint import Head
from app.seals.leaves import Leaf

FILE: Final = Path(__file__).with_name("seal_vectors.json")
SIZE: Final = 300  # leaves: more than one tile
SHOWN_LEAVES: Final = 4
AT: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
COSIGNED_AT: Final = 1_767_268_860
WORDS: Final = {
    "label": "draw",
    "member": None,
    "metadata": '{"job": "für Zoë 🖼"}',
    "reason": 'a "page"\\\t\u2028',
}


def vectors() -> dict[str, Any]:
    """All of them; bytes are in base64, but for hashes in hexadecimal inside leaves."""
    told = [leaf(number) for number in range(SIZE)]
    hashes = [log_tree.leaf_hash(leaves.leaf_bytes(one)) for one in told]
    edge = log_tree.Edge(0, {})
    tiles = edge.grow(hashes)
    signer = notes.signer(_private_key())
    balances, tree, root = _balances()
    head = Head(
        origin="books.example",
        size=SIZE,
        root=edge.root(),
        balances_hash=balance_tree.hash_of(root),
        totals=balance_tree.sums_of(root),
        horizon_at=AT + timedelta(seconds=SIZE),
        entry_id=told[-1].entry,
        schema="2026-01-01",
        epoch=1,
        catalogue=(1, sha256(b"a catalogue").digest()),
        previous=(100, sha256(b"the head before").digest()),
    )
    salt = bytes(range(leaves.SALT_BYTES))
    return {
        "about": "Test vectors of Tallybook's seals; ops/seals.md says what each is.",
        "hidden": {
            "salt": salt.hex(),
            "value": WORDS,
            "canonical": leaves.canonical(WORDS).decode(),
            "hash": leaves.salted(salt, WORDS),
        },
        "leaves": [
            {"bytes": leaves.leaf_bytes(one).decode(), "hash": _told(hashed)}
            for one, hashed in zip(told[:SHOWN_LEAVES], hashes, strict=False)
        ],
        "leaf_hashes": list(map(_told, hashes)),
        "roots": {str(size): _told(root_at(hashes, size)) for size in (0, 1, 2, 3, 255, 256, SIZE)},
        "inclusion": [
            {"index": at, "size": SIZE, "path": _spans(log_tree.inclusion_path(at, SIZE), tiles)}
            for at in (0, 1, 255, 256, SIZE - 1)
        ],
        "consistency": [
            {"old": old, "size": SIZE, "path": _spans(log_tree.consistency_path(old, SIZE), tiles)}
            for old in (1, 2, 255, 256, 299, SIZE)
        ],
        "balances": {
            "root": _told(root),
            "totals": balance_tree.sums_of(root)._asdict(),
            "proofs": [
                {
                    "account": account,
                    "balance": one and one._asdict(),
                    "path": [
                        None if node == balance_tree.EMPTY else _told(node)
                        for node in balance_tree.path(tree, account)
                    ],
                }
                for account, one in [(1, balances[1]), (17, balances[17]), (18, None)]
            ],
        },
        "checkpoint": {
            "key": signer.told,
            "text": head.text(),
            "note": notes.sign(head.text(), (signer,)),
        },
        "cosignature": _cosignature(head.text()),
        "receipt": _receipt(signer, edge.root(), tiles),
    }


def leaf(number: int) -> Leaf:
    """A leaf of the example: its hidden parts are hashes of its number."""
    hidden = sha256(str(number).encode()).hexdigest()
    at = AT + timedelta(seconds=number, microseconds=120 * (number % 2))
    return Leaf(
        account=number % 3 + 1, act=hidden, amount=1, credit="spent", debit="free", debt_after=0,
        effective_at=AT, entry=2 * number + 1, event="evt_1" if number % 5 == 0 else None,
        free_after=2**53 - 1 - number, held_after=0, hold=number or None, journal=number + 1,
        journal_effective_at=AT, journal_kind="spend", journal_recorded_at=at, kind="spend",
        lot=1, lot_priority=100, lot_source="daily", name=hidden, nth=number // 3 + 1,
        recorded_at=at, reverses=None, reverses_journal=None, run=None, source="api",
        text=hidden if number % 2 else None,
    )  # fmt: skip


def root_at(hashes: list[bytes], size: int) -> bytes:
    """The root of the first leaves."""
    edge = log_tree.Edge(0, {})
    edge.grow(hashes[:size])
    return edge.root()


def _balances() -> tuple[dict[int, Balance], dict[balance_tree.TileId, bytes], bytes]:
    balances = {
        1: Balance(1, 599, 100, 2**53 - 1, 0, 0),
        2: Balance(2, 595, 100, 0, 7, 0),
        17: Balance(17, 597, 100, 0, 0, 12),
        2**30: Balance(2**30, 590, 3, 5, 4, 0),
    }
    nodes = {account: balance_tree.leaf(one) for account, one in balances.items()}
    root, tiles = balance_tree.update({}, nodes)
    return balances, tiles, root


def _private_key() -> str:
    """A key of the vectors alone, made of a seed that anybody knows."""
    seed = sha256(b"seal vectors").digest()
    public = notes.Signer("", Ed25519PrivateKey.from_private_bytes(seed)).public_key
    shown = notes.key_id("books.example", public).hex()
    return f"PRIVATE+KEY+books.example+{shown}+{_told(notes.ED25519 + seed)}"


def _cosignature(text: str) -> dict[str, str | int]:
    seed = sha256(b"seal vectors' witness").digest()
    one = notes.Signer("watch.example", Ed25519PrivateKey.from_private_bytes(seed))
    signature = one.key.sign(f"cosignature/v1\ntime {COSIGNED_AT}\n{text}".encode())
    key = notes.verifier_key(one.name, one.public_key, notes.COSIGNATURE)
    named = notes.key_id(one.name, one.public_key, notes.COSIGNATURE)
    line = _told(named + COSIGNED_AT.to_bytes(8) + signature)
    return {"key": key, "at": COSIGNED_AT, "line": f"— watch.example {line}"}


def _receipt(
    signer: notes.Signer, root: bytes, tiles: dict[log_tree.TileId, bytes]
) -> dict[str, str | int]:
    path = [log_tree.hash_of(span, tiles) for span in log_tree.inclusion_path(1, SIZE)]
    receipt = cose.receipt(cose.sign_root(root, signer), SIZE, 1, path)
    return {"index": 1, "cbor": _told(receipt)}


def _spans(spans: list[log_tree.Span], tiles: dict[log_tree.TileId, bytes]) -> list[str]:
    return [_told(log_tree.hash_of(span, tiles)) for span in spans]


def _told(value: bytes) -> str:
    return base64.b64encode(value).decode()


def written() -> str:
    """The file's text."""
    return json.dumps(msgspec.to_builtins(vectors()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
