"""Idempotency keys: one namespace for the book, for ever, in the journal's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec
import orjson

from app.errors import KeyReusedError
from app.infrastructure.db import Database


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


# One JSON array, null where there is none; {keys} is a text[].
ANSWERS: Final = """(
    SELECT jsonb_agg(answered) FROM (
        SELECT idempotency_key AS key, journals.id AS journal_id,
               encode(request_hash, 'hex') AS request_hash, answer,
               array(SELECT entries.id FROM entries
                      WHERE entries.journal_id = journals.id ORDER BY entries.id) AS entry_ids
          FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
         WHERE idempotency_key = ANY({keys})
        UNION ALL
        SELECT idempotency_key, 0, encode(request_hash, 'hex'), '{{}}', '{{}}' FROM reversals
         WHERE idempotency_key = ANY({keys})) AS answered)"""


async def stored(database: Database, keys: Iterable[str]) -> dict[str, StoredAnswer]:
    """The answers given under these keys.

    Asked after the account's lock: who held it under the same key has committed by now.
    """
    return read(await database.fetchval(f"SELECT {ANSWERS.format(keys='$1::text[]')}", list(keys)))


def read(answers: str | None) -> dict[str, StoredAnswer]:
    """What ``ANSWERS`` found, by key."""
    return {
        one["key"]: StoredAnswer(
            one["journal_id"],
            bytes.fromhex(one["request_hash"]),
            one["answer"],
            tuple(one["entry_ids"]),
        )
        for one in orjson.loads(answers or "[]")
    }


def same_request(key: RequestKey, answer: StoredAnswer) -> StoredAnswer:
    """The stored answer, or KeyReusedError where the key came with other content."""
    if key.request_hash != answer.request_hash:
        raise KeyReusedError(
            "This Idempotency-Key was used for another request; use a new key for a new act.",
            idempotency_key=key.key,
        )
    return answer
