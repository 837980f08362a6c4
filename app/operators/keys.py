"""API keys: shown once, stored as a peppered hash, scoped, expiring, revocable."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from piccolo.querystring import QueryString

from app.errors import KeyUnknownError, UnauthenticatedError
from app.infrastructure.db import Database
from app.infrastructure.ids import random_token
from app.tables.keys_and_operators import ApiKeys

ID_CHARS: Final = 10
SECRET_CHARS: Final = 40  # 200 bits
CACHE_SECONDS: Final = 2.0  # a revoked key is refused within this time in every process
CACHE_KEYS_MAX: Final = 1_000
_NOW: Final = QueryString("clock_timestamp()")


class Scope(StrEnum):
    """What a key may do; operator may do what both others may, and corrects."""

    SERVICE = "service"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as stored."""

    id: str
    name: str
    scopes: frozenset[Scope]
    secret_hash: bytes
    expires_at: datetime | None
    revoked_at: datetime | None

    def allows(self, wanted: Collection[Scope]) -> bool:
        """Whether one of the scopes is held; operator implies the others."""
        return Scope.OPERATOR in self.scopes or not self.scopes.isdisjoint(wanted)


async def create(
    database: Database,
    pepper: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
) -> str:
    """Make a key and return it: the only time it is seen."""
    key_id, secret = random_token(ID_CHARS), random_token(SECRET_CHARS)
    return await create_known(database, pepper, key_id, secret, name, scopes, expires_at)


async def create_known(
    database: Database,
    pepper: str,
    key_id: str,
    secret: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
) -> str:
    """Make a key whose id and secret are given; one that stands already stays as it is."""
    key = ApiKeys(
        id=key_id,
        name=name,
        scopes=sorted(scopes),
        secret_hash=_hash(pepper, secret),
        created_at=_NOW,
        expires_at=expires_at,
    )
    await database.run(ApiKeys.insert(key).on_conflict(ApiKeys.id, "DO NOTHING"))
    return f"tb_{key_id}_{secret}"


def id_of(token: str) -> str:
    """The part of a token that is no secret."""
    return token.split("_")[1]


async def revoke(database: Database, key_id: str) -> bool:
    """Revoke a key; False where none of this id was good."""
    good = (ApiKeys.id == key_id) & ApiKeys.revoked_at.is_null()
    revoked = ApiKeys.update({ApiKeys.revoked_at: _NOW}).where(good).returning(ApiKeys.id)
    return bool(await database.run(revoked))


async def rotate(
    database: Database, pepper: str, key_id: str, overlap: timedelta
) -> tuple[str, datetime]:
    """Make a key with the name, the scopes and the end of this one, which ends after ``overlap``.

    Returns the new key, the only time it is seen, and when the old one ends. Raises
    KeyUnknownError where none of this id is good.
    """
    unended = ApiKeys.expires_at.is_null() | (ApiKeys.expires_at > _NOW)
    good = (ApiKeys.id == key_id) & ApiKeys.revoked_at.is_null() & unended
    ended = QueryString("least(expires_at, clock_timestamp() + {})", overlap)
    end = ApiKeys.update({ApiKeys.expires_at: ended}).where(ApiKeys.id == key_id)
    async with database.transaction():
        old = await database.run(ApiKeys.select().where(good).lock_rows("UPDATE").first())
        if old is None:
            raise KeyUnknownError(f"No good key has the id {key_id}.")
        scopes = [Scope(scope) for scope in old["scopes"]]
        token = await create(database, pepper, old["name"], scopes, old["expires_at"])
        (row,) = await database.run(end.returning(ApiKeys.expires_at))
    ends_at: datetime = row["expires_at"]
    return token, ends_at


class Keyring:
    """Checks keys, remembering each for a moment so that most requests cost no query."""

    def __init__(
        self, database: Database, pepper: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, ApiKey]] = {}

    async def check(self, token: str) -> ApiKey:
        """The good key of this token; UnauthenticatedError for any other.

        Keys expire by wall time, also in a book whose clock is set.
        """
        key_id, secret = _parts(token)
        key = await self._key(key_id)
        given = _hash(self._pepper, secret)
        # Compared even where there is no such key, so that the time tells nothing.
        if not hmac.compare_digest(given, key.secret_hash if key else bytes(32)) or key is None:
            raise UnauthenticatedError("This API key is not known.")
        if key.revoked_at is not None:
            raise UnauthenticatedError("This API key was revoked.")
        if key.expires_at is not None and key.expires_at.timestamp() <= time.time():
            raise UnauthenticatedError("This API key has expired.")
        return key

    async def _key(self, key_id: str) -> ApiKey | None:
        seen = self._seen.get(key_id)
        if seen is not None and self._monotonic() < seen[0]:
            return seen[1]
        row = await self._database.run(ApiKeys.select().where(ApiKeys.id == key_id).first())
        if row is None:
            return None
        if len(self._seen) >= CACHE_KEYS_MAX:
            self._seen.clear()
        key = ApiKey(
            id=row["id"],
            name=row["name"],
            scopes=frozenset(Scope(scope) for scope in row["scopes"]),
            secret_hash=row["secret_hash"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
        )
        self._seen[key_id] = (self._monotonic() + CACHE_SECONDS, key)
        return key


def _parts(token: str) -> tuple[str, str]:
    prefix, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    well_formed = prefix == "tb" and len(key_id) == ID_CHARS and len(secret) == SECRET_CHARS
    if not well_formed or not (token.isascii() and (key_id + secret).isalnum()):
        raise UnauthenticatedError("This is no API key; it reads tb_…")
    return key_id, secret


def _hash(pepper: str, secret: str) -> bytes:
    # A fast hash will do: the secret is 200 random bits, not a password.
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)
