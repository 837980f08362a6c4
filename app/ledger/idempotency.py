"""Idempotency keys: two namespaces in each book, kept without end, in the journal's transaction.

When a person is erased, a keyed hash of each key stays, and one of its request. A late retry still
finds its answer by these hashes, and nobody can compute them from the text without the pepper. So
each key is looked up by its text and by its hash.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import orjson

from app.errors import KeyReusedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import EntryNumber, JournalNumber

if TYPE_CHECKING:
    from app.ledger import row_types


class Key(msgspec.Struct, frozen=True):
    """An Idempotency-Key: its text, and the hash by which it is found after erasure.

    ``blind`` hides the request's hash in the same way.
    """

    text: str
    hash: bytes
    blind: bytes

    def blinded(self, request_hash: bytes) -> bytes:
        """Return what stays of a request's hash after erasure; its path alone could name a
        person.
        """
        return hashlib.sha256(self.blind + request_hash).digest()


class RequestKey(msgspec.Struct, frozen=True):
    """A key and the SHA-256 of its request."""

    named: Key
    request_hash: bytes

    @property
    def key(self) -> str:
        """Return the key's text."""
        return self.named.text


class StoredAnswer(msgspec.Struct, frozen=True):
    """The answer to the first request under a key."""

    journal_id: JournalNumber
    request_hash: bytes
    answer: dict[str, object]
    entry_ids: tuple[EntryNumber, ...]
    erased: bool


def secret_of(pepper: str) -> bytes:
    """Return the secret with which keys are hashed."""
    return hmac.digest(pepper.encode(), b"tallybook idempotency keys", "sha256")


def key_of(text: str, secret: bytes) -> Key:
    """Return the key with its hashes. This takes 1 us, so every request can do it."""
    digest = hmac.digest(secret, text.encode(), "sha512")
    return Key(text, digest[:_HASH_BYTES], digest[_HASH_BYTES:])


def key_if_given(text: str | None, secret: bytes) -> Key | None:
    """Return the key if a filter or a body names one, else None."""
    return None if text is None else key_of(text, secret)


def request_key(key: str, method: str, path: str, body: object, secret: bytes = b"") -> RequestKey:
    """Hash the request; the body is compared as parsed, so 1, 1.0 and 1e0 are the same.

    Without the secret an erased key is not found: do that only for keys that are random and used
    once.
    """
    parsed = msgspec.json.encode(body, order="sorted")
    digest = hashlib.sha256(b"\0".join((method.encode(), path.encode(), parsed)))
    return RequestKey(key_of(key, secret), digest.digest())


_HASH_BYTES: Final = 32
_SQL: Final[row_types.IdempotencySql] = sql.beside(__file__)


async def stored(database: Database, key: RequestKey) -> StoredAnswer | None:
    """Return the answer stored under this key of an application, or None; raise KeyReusedError.

    Call it after the account's lock: an earlier request under this key has committed by then.
    """
    row = await database.fetchrow(_SQL["applications_answers"](**asked([key])))
    assert row is not None
    return _same(key, await answers(database, row, [key]))


async def stored_for_operator(database: Database, key: RequestKey) -> StoredAnswer | None:
    """Return the answer stored under this key of an operator, or None; raise KeyReusedError.

    Locks the key until the transaction ends. The same key may arrive at this moment for a run,
    whose reversal is stored in another table than journals.
    """
    return _same(key, read(await _operators_answers(database, [key])))


async def all_stored_for_operator(
    database: Database, keys: Sequence[RequestKey]
) -> dict[str, StoredAnswer]:
    """Lock these keys of operators' routes and return the answers stored under them, by key."""
    return read(await _operators_answers(database, keys))


async def _operators_answers(database: Database, keys: Sequence[RequestKey]) -> str | None:
    await database.execute(_SQL["lock_operators_keys"](keys=[key.key for key in keys]))
    return await database.fetchval(  # type: ignore[no-any-return]
        _SQL["operators_answers"](**asked(keys))
    )


async def erased(database: Database, keys: Sequence[RequestKey]) -> set[str]:
    """Return the keys of operators' routes among these that were erased."""
    rows = await database.fetch(_SQL["erased"](**asked(keys)))
    return {row["key"] for row in rows}


def asked(keys: Sequence[RequestKey]) -> dict[str, object]:
    """Return the parameters of a statement that looks for these keys."""
    return {"keys": [one.key for one in keys], "hashes": [one.named.hash for one in keys]}


async def answers(
    database: Database,
    row: row_types.IdempotencyApplicationsAnswers | row_types.PostLook,
    keys: Sequence[RequestKey],
) -> dict[str, StoredAnswer]:
    """Return the answers to these keys from ``answers_by_key`` and ``erased_by_key``, by key."""
    found = read(row["answers"])
    if row["erased"]:
        found |= read(await database.fetchval(_SQL["erased_answers"](**asked(keys))))
    return found


def _same(key: RequestKey, answers: Mapping[str, StoredAnswer]) -> StoredAnswer | None:
    found = answers.get(key.key)
    return None if found is None else same_request(key, found)


def read(answers: str | None) -> dict[str, StoredAnswer]:
    """Read a JSON array of answers, by key."""
    return {
        one["key"]: StoredAnswer(
            one["journal_id"],
            bytes.fromhex(one["request_hash"]),
            one["answer"],
            tuple(one["entry_ids"]),
            one.get("erased", False),
        )
        for one in orjson.loads(answers or "[]")
    }


def same_request(key: RequestKey, answer: StoredAnswer) -> StoredAnswer:
    """Return the stored answer; raise KeyReusedError if the key came with another request."""
    mine = key.named.blinded(key.request_hash) if answer.erased else key.request_hash
    if mine != answer.request_hash:
        raise KeyReusedError(
            "This Idempotency-Key was used for another request; use a new key for a new act.",
            idempotency_key=key.key,
        )
    return answer
