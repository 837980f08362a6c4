"""Idempotency keys: two namespaces of the book, without end, in the journal's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from app.errors import KeyReusedError
from app.infrastructure import sql
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


_SQL: Final = sql.beside(__file__)


async def stored(database: Database, key: RequestKey) -> StoredAnswer | None:
    """The answer that was given under this key of an application; raises KeyReusedError.

    Asked after the account's lock: a request that held it under the same key has committed by now.
    """
    return _same(key, await database.fetchval(*_SQL["applications_answers"](keys=[key.key])))


async def stored_for_operator(database: Database, key: RequestKey) -> StoredAnswer | None:
    """The answer that was given under this key of an operator's route; raises KeyReusedError.

    Locks the key until the transaction ends: at the same time it may come for a run, whose reversal
    stands in another table than journals.
    """
    return _same(key, await _operators_answers(database, [key.key]))


async def all_stored_for_operator(
    database: Database, keys: Sequence[RequestKey]
) -> dict[str, StoredAnswer]:
    """What was answered under these keys of an operator's route, by key; it locks them likewise."""
    return read(await _operators_answers(database, [key.key for key in keys]))


async def _operators_answers(database: Database, keys: list[str]) -> str | None:
    await database.execute(*_SQL["lock_operators_keys"](keys=keys))
    return await database.fetchval(  # type: ignore[no-any-return]
        *_SQL["operators_answers"](keys=keys)
    )


def _same(key: RequestKey, answers: str | None) -> StoredAnswer | None:
    found = read(answers).get(key.key)
    return None if found is None else same_request(key, found)


def read(answers: str | None) -> dict[str, StoredAnswer]:
    """Read what ``applications_answers`` or ``operators_answers`` found, by key."""
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
    """The stored answer, or KeyReusedError if the key came with other content."""
    if key.request_hash != answer.request_hash:
        raise KeyReusedError(
            "This Idempotency-Key was used for another request; use a new key for a new act.",
            idempotency_key=key.key,
        )
    return answer
