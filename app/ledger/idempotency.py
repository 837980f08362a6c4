"""Idempotency keys: one namespace for the book, for ever, in the journal's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
import orjson

from app.db import Database
from app.errors import KeyReusedError


class RequestKey(msgspec.Struct, frozen=True):
    """An Idempotency-Key and the SHA-256 of the request that came under it."""

    key: str
    request_hash: bytes


class StoredAnswer(msgspec.Struct, frozen=True):
    """What the first request under a key was answered."""

    journal_id: int
    request_hash: bytes
    answer: dict[str, object]
    entry_ids: tuple[int, ...]


def request_key(key: str, method: str, path: str, body: object) -> RequestKey:
    """Hash the request; the body is compared as parsed, so 1, 1.0 and 1e0 are the same."""
    parsed = msgspec.json.encode(body, order="sorted")
    digest = hashlib.sha256(b"\0".join((method.encode(), path.encode(), parsed)))
    return RequestKey(key, digest.digest())


async def stored(database: Database, keys: Iterable[str]) -> dict[str, StoredAnswer]:
    """The answers given under these keys.

    Asked after the account's lock: who held it under the same key has committed by now.
    """
    rows = await database.fetch(
        """SELECT journals.id, idempotency_key, request_hash, answer::text,
                  array(SELECT entries.id FROM entries
                         WHERE entries.journal_id = journals.id ORDER BY entries.id) AS entry_ids
             FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
            WHERE idempotency_key = ANY($1::text[])
           UNION ALL SELECT 0, idempotency_key, request_hash, '{}', '{}' FROM reversals
            WHERE idempotency_key = ANY($1::text[])""",
        list(keys),
    )
    return {
        row["idempotency_key"]: StoredAnswer(
            row["id"], row["request_hash"], orjson.loads(row["answer"]), tuple(row["entry_ids"])
        )
        for row in rows
    }


def same_request(key: RequestKey, answer: StoredAnswer) -> StoredAnswer:
    """The stored answer, or KeyReusedError where the key came with other content."""
    if key.request_hash != answer.request_hash:
        raise KeyReusedError(
            "This Idempotency-Key was used for another request; use a new key for a new act.",
            idempotency_key=key.key,
        )
    return answer
