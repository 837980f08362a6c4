"""API keys: shown once, stored as a peppered hash, scoped, expiring, revocable."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from piccolo.querystring import QueryString

from app.errors import ConfigurationError, ForbiddenError, KeyUnknownError, UnauthenticatedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import ALPHABET, random_token
from app.infrastructure.rates import Address, Network, parse_networks
from app.tables.keys_and_operators import ApiKeys

ID_CHARS: Final = 10
SECRET_CHARS: Final = 40  # 200 bits
CACHE_SECONDS: Final = 2.0  # a revoked key is refused within this time in every process
UNKNOWN_SECONDS: Final = 0.25  # a new key is known within this time while unknown ones are tried
# The ids that `tallybook up` uses; the letters i, o and u are in no id that is drawn.
DEVELOPMENT_IDS: Final = frozenset({"devservice", "devauditor", "devoperato"})
_SQL: Final = sql.beside(__file__)
_NOW: Final = QueryString("clock_timestamp()")


class Scope(StrEnum):
    """The rights of a key: operator has them all, read and spend are parts of service."""

    SERVICE = "service"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    READ = "read"
    SPEND = "spend"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as stored."""

    id: str
    name: str
    scopes: frozenset[Scope]
    secret_hash: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    networks: tuple[Network, ...] = ()

    def allows_from(self, address: Address | None) -> bool:
        """Whether the key may be used from there; without networks from anywhere."""
        if not self.networks:
            return True
        return address is not None and any(address in network for network in self.networks)

    def allows(self, wanted: Collection[Scope]) -> bool:
        """Whether one of the scopes is held; operator implies all others."""
        return Scope.OPERATOR in self.scopes or not self.scopes.isdisjoint(wanted)


async def is_pepper(database: Database, pepper: str) -> bool:
    """Whether the book's keys were made with this pepper; any is where none was made yet."""
    kept = await database.fetchval("SELECT pepper_check FROM book")
    return kept is None or hmac.compare_digest(kept, _check_of(pepper))


async def keep_pepper(database: Database, pepper: str) -> None:
    """Keep of the pepper what tells it apart; raises ConfigurationError if it is another.

    A key that is made with another than the servers' would be refused by all of them.
    """
    if not await is_pepper(database, pepper):
        raise ConfigurationError(
            "TALLYBOOK_KEY_PEPPER is not the one with which this book's keys were made: every "
            "server would refuse the new key. Take the servers' own. Nothing was changed."
        )
    await database.execute(
        "UPDATE book SET pepper_check = $1 WHERE pepper_check IS NULL", _check_of(pepper)
    )


def _check_of(pepper: str) -> str:
    return hmac.digest(pepper.encode(), b"tallybook's pepper", "sha256").hex()


async def create(
    database: Database,
    pepper: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
    networks: Collection[Network] = (),
) -> str:
    """Make a key and return it: the only time it is seen."""
    key_id, secret = random_token(ID_CHARS), random_token(SECRET_CHARS)
    key = _row(pepper, key_id, secret, name, scopes, expires_at, networks)
    await database.run(ApiKeys.insert(key))
    return token_of(key_id, secret)


def seeded(pepper: str, seed: str) -> str:
    """The token that follows from a seed, as nobody can tell who does not know seed and pepper."""
    drawn = hmac.digest(pepper.encode(), f"a key of {seed}".encode(), "sha512")
    text = "".join(ALPHABET[byte % 32] for byte in drawn)
    return token_of(text[:ID_CHARS], text[ID_CHARS : ID_CHARS + SECRET_CHARS])


async def add(
    database: Database,
    pepper: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None,
    seed: str,
) -> str:
    """Make the key of this seed as the server's role may, by the console, and return it.

    Raises ForbiddenError for one that may correct, and ConfigurationError for another pepper.
    """
    if Scope.OPERATOR in scopes:
        raise ForbiddenError(
            "A key that may correct is made at the machine: `tallybook keys create NAME --scope "
            "operator`."
        )
    if not await is_pepper(database, pepper):
        raise ConfigurationError("TALLYBOOK_KEY_PEPPER is not the one of this book's keys.")
    token = seeded(pepper, seed)
    key_id, secret = _parts(token)
    given = {"id": key_id, "name": name, "scopes": sorted(scopes), "expires_at": expires_at}
    await database.execute(*_SQL["add"](secret_hash=_hash(pepper, secret), **given))
    return token


async def take_back(database: Database, key_id: str) -> bool:
    """Revoke a key as the server's role may; False where none of this id was good."""
    return bool(await database.fetchval(*_SQL["take_back"](id=key_id)))


async def put_known(
    database: Database, pepper: str, key_id: str, secret: str, name: str, scopes: Collection[Scope]
) -> bool:
    """Make a key whose id and secret are given, or give it this secret; False if it had it."""
    key = _row(pepper, key_id, secret, name, scopes, None, ())
    insert = ApiKeys.insert(key).on_conflict(
        ApiKeys.id,
        "DO UPDATE",
        [ApiKeys.secret_hash],
        where=ApiKeys.secret_hash != key.secret_hash,
    )
    return bool(await database.run(insert.returning(ApiKeys.id)))


def _row(
    pepper: str,
    key_id: str,
    secret: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None,
    networks: Collection[Network],
) -> ApiKeys:
    return ApiKeys(
        id=key_id,
        name=name,
        scopes=sorted(scopes),
        secret_hash=_hash(pepper, secret),
        created_at=_NOW,
        expires_at=expires_at,
        networks=[str(network) for network in networks],
    )


def token_of(key_id: str, secret: str) -> str:
    """The key as its holder sends it."""
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
    """Make a key like this one, which ends after ``overlap``.

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
        networks = parse_networks(",".join(old["networks"]))
        token = await create(database, pepper, old["name"], scopes, old["expires_at"], networks)
        (row,) = await database.run(end.returning(ApiKeys.expires_at))
    ends_at: datetime = row["expires_at"]
    return token, ends_at


class Keyring:
    """Checks keys against all that there are, which it reads every few seconds.

    A book has as many keys as it has back ends and people, so all are kept: however many unknown
    ids are tried, the database is asked no more often.
    """

    def __init__(
        self,
        database: Database,
        pepper: str,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        production: bool = False,
    ) -> None:
        """``production`` refuses the keys that `tallybook up` makes for development."""
        self._database = database
        self._pepper = pepper
        self._monotonic = monotonic
        self._refused = DEVELOPMENT_IDS if production else frozenset()
        self._known: dict[str, ApiKey] = {}
        self._opened: dict[str, ApiKey] = {}  # by their tokens, until the keys are read again
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._used: dict[str, datetime] = {}

    async def check(self, token: str, address: Address | None = None) -> ApiKey:
        """The good key of this token; UnauthenticatedError for any other.

        Raises ForbiddenError if the key may not be used from this address. Keys expire by wall
        time, also in a book whose clock is set.
        """
        fresh = self._monotonic() < self._read_at + CACHE_SECONDS
        key = self._opened.get(token) if fresh else None
        if key is None:
            key = await self._checked(token)
            self._opened[token] = key
        return self._good(key, address)

    async def _checked(self, token: str) -> ApiKey:
        key_id, secret = _parts(token)
        key = await self._key(key_id)
        given = _hash(self._pepper, secret)
        # Compared even where there is no such key, so that the time tells nothing.
        if not hmac.compare_digest(given, key.secret_hash if key else bytes(32)) or key is None:
            raise UnauthenticatedError("This API key is not known.")
        return key

    async def still_good(self, key_id: str, address: Address | None = None) -> ApiKey:
        """The key of this id, whose token was checked before, judged again; raises as `check`."""
        key = await self._key(key_id)
        if key is None:
            raise UnauthenticatedError("This API key is not known.")
        return self._good(key, address)

    def _good(self, key: ApiKey, address: Address | None) -> ApiKey:
        if key.id in self._refused:
            raise UnauthenticatedError("This is a development key; production takes none.")
        if key.revoked_at is not None:
            raise UnauthenticatedError("This API key was revoked.")
        now = datetime.now(UTC)
        if key.expires_at is not None and key.expires_at <= now:
            raise UnauthenticatedError("This API key has expired.")
        if not key.allows_from(address):
            raise ForbiddenError("This key may not be used from the address that you call from.")
        self._used[key.id] = now
        return key

    def name_of(self, key_id: str) -> str | None:
        """The name of a key, as it was read last; good or not."""
        key = self._known.get(key_id)
        return key.name if key else None

    async def store_uses(self) -> None:
        """Store when each key was last used, as far as this process has seen."""
        used, self._used = self._used, {}
        if used:
            ids = sorted(used)  # in one order, so that processes do not wait for one another
            await self._database.execute(
                *_SQL["store_uses"](ids=ids, used_at=[used[one] for one in ids])
            )

    async def _key(self, key_id: str) -> ApiKey | None:
        if self._is_stale(key_id):
            async with self._reading:
                if self._is_stale(key_id):  # another call may have read them meanwhile
                    await self._read()
        return self._known.get(key_id)

    def _is_stale(self, key_id: str) -> bool:
        seconds = CACHE_SECONDS if key_id in self._known else UNKNOWN_SECONDS
        return self._monotonic() >= self._read_at + seconds

    async def _read(self) -> None:
        rows = await self._database.run(ApiKeys.select())
        self._known = {
            row["id"]: ApiKey(
                id=row["id"],
                name=row["name"],
                scopes=frozenset(Scope(scope) for scope in row["scopes"]),
                secret_hash=row["secret_hash"],
                expires_at=row["expires_at"],
                revoked_at=row["revoked_at"],
                networks=parse_networks(",".join(row["networks"])),
            )
            for row in rows
        }
        self._opened = {}
        self._read_at = self._monotonic()


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
