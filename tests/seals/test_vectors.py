"""The published vectors are what we make, what the verifier checks, and what others compute."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree, verify_inclusion
from pymerkle.proof import MerkleProof

from app.seals import comparing, notes
from app.seals.checkpoint import Head
from ops import seal_vectors, verify_evidence


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """The file."""
    return json.loads(seal_vectors.FILE.read_text("utf-8"))  # type: ignore[no-any-return]


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def test_the_file_is_what_the_command_writes() -> None:
    assert seal_vectors.FILE.read_text("utf-8") == seal_vectors.written()


def test_the_verifier_agrees_on_texts_and_leaves(told: dict[str, Any]) -> None:
    hidden = told["hidden"]
    assert verify_evidence.canonical(hidden["value"]).decode() == hidden["canonical"]
    salted = bytes.fromhex(hidden["salt"]) + hidden["canonical"].encode()
    assert hashlib.sha256(salted).hexdigest() == hidden["hash"]
    for number, leaf in enumerate(told["leaves"]):
        data = leaf["bytes"].encode()
        assert verify_evidence.canonical(json.loads(data)) == data
        assert hashlib.sha256(b"\0" + data).digest() == raw(leaf["hash"])
        assert leaf["hash"] == told["leaf_hashes"][number]


def test_pymerkle_has_the_same_roots_and_proofs(told: dict[str, Any]) -> None:
    """It hashes leaves itself; the entries of the vectors are made anew for it."""
    theirs = InmemoryTree(algorithm="sha256")
    hashes = [raw(one) for one in told["leaf_hashes"]]
    for number, hashed in enumerate(hashes):
        data = seal_vectors.leaves.leaf_bytes(seal_vectors.leaf(number))
        theirs.append_entry(data)
        assert theirs.get_leaf(number + 1) == hashed
    for size, root in told["roots"].items():
        if size != "0":
            assert theirs.get_state(int(size)) == raw(root)
    assert raw(told["roots"]["0"]) == hashlib.sha256().digest()
    size = len(hashes)
    for one in told["inclusion"]:
        proof = theirs.prove_inclusion(one["index"] + 1, size)
        assert sorted(proof.path[1:]) == sorted(map(raw, one["path"]))
        verify_inclusion(hashes[one["index"]], theirs.get_state(size), proof)
        assert isinstance(proof, MerkleProof)


def test_the_verifier_follows_every_proof(told: dict[str, Any]) -> None:
    size = len(told["leaf_hashes"])
    root = raw(told["roots"][str(size)])
    for one in told["inclusion"]:
        at, path = one["index"], [raw(node) for node in one["path"]]
        # From left to right, as a file has them, instead of from below.
        spans = seal_vectors.log_tree.inclusion_path(at, size)
        in_order = [node for _, node in sorted(zip(spans, path, strict=True))]
        hashes = {at: raw(told["leaf_hashes"][at])}
        assert verify_evidence.root_with(hashes, in_order, size) == root
    for one in told["consistency"]:
        old = seal_vectors.root_at([raw(h) for h in told["leaf_hashes"]], one["old"])
        proof = [raw(node) for node in one["path"]]
        for check in (verify_evidence.is_consistent, comparing.is_consistent):
            assert check(one["old"], old, size, root, proof)
            assert not check(one["old"], hashlib.sha256(old).digest(), size, root, proof)


def test_the_verifier_finds_the_balances_in_their_sum(told: dict[str, Any]) -> None:
    balances = told["balances"]
    root = raw(balances["root"])
    assert verify_evidence.sums_of(root) == list(balances["totals"].values())
    for one in balances["proofs"]:
        found = verify_evidence.balances_root(one["account"], one["balance"], one["path"])
        assert found == root
    forged = balances["proofs"][0]
    forged["balance"]["free"] -= 1
    other = verify_evidence.balances_root(forged["account"], forged["balance"], forged["path"])
    assert other != root


def test_cryptography_verifies_the_signatures(told: dict[str, Any]) -> None:
    note, key = told["checkpoint"]["note"], told["checkpoint"]["key"]
    text, (line,) = notes.split(note)
    assert text == told["checkpoint"]["text"]
    assert Head.read(text).text() == text
    public = raw(key.split("+", 2)[2])[1:]
    signature = raw(line.split(" ")[2])
    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
    cosigned = told["cosignature"]
    assert notes.cosigner(text, cosigned["line"], cosigned["key"]) == cosigned["at"]
    head = verify_evidence.Head(f"{note}{cosigned['line']}\n")
    assert all(verify_evidence.signature_by(head.text, head.lines, one) for one in (
        key, cosigned["key"],
    ))  # fmt: skip
    assert head.root == raw(told["roots"][str(head.size)])
    assert [head.balances, *head.totals.values()] == [
        raw(told["balances"]["root"])[:32],
        *told["balances"]["totals"].values(),
    ]
