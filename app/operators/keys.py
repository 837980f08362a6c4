"""API keys: shown once, stored as a peppered hash, scoped, expiring, revocable."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
from piccolo.querystring import QueryString

from app.errors import ConfigurationError, ForbiddenError, KeyUnknownError, UnauthenticatedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import ALPHABET, random_token
from app.infrastructure.rates import Address, Network, parse_networks
from app.tables.keys_and_operators import ApiKeys

if TYPE_CHECKING:
    from app.operators import row_types


ID_CHARS: Final = 10
SECRET_CHARS: Final = 40  # 200 bits
CACHE_SECONDS: Final = 2.0  # every process refuses a revoked key within this time
UNKNOWN_SECONDS: Final = 0.25  # a new key is known within this time while unknown ones are tried
# The ids that `tallybook up` uses; the letters i, o and u are in no id that is drawn.
DEVELOPMENT_IDS: Final = frozenset({"devservice", "devauditor", "devoperato"})
_SQL: Final[row_types.KeysSql] = sql.beside(__file__)
_NOW: Final = QueryString("clock_timestamp()")


class Scope(StrEnum):
    """The rights of a key: operator has them all; read and spend are parts of service."""

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
        """Return whether the key may be used from this address; without networks, from any."""
        if not self.networks:
            return True
        return address is not None and any(address in network for network in self.networks)

    def allows(self, wanted: Collection[Scope]) -> bool:
        """Return whether the key has one of the scopes; operator includes all others."""
        return Scope.OPERATOR in self.scopes or not self.scopes.isdisjoint(wanted)


async def is_pepper(database: Database, pepper: str) -> bool:
    """Return whether the book's keys were made with this pepper; true if there is no key yet."""
    kept = await database.fetchval("SELECT pepper_check FROM book")
    return kept is None or hmac.compare_digest(kept, _check_of(pepper))


async def keep_pepper(database: Database, pepper: str) -> None:
    """Store a check value of the pepper; raise ConfigurationError if the book has another.

    The servers would refuse every key that is made with another pepper than theirs.
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
    """Make a key and return it; it cannot be read again."""
    key_id, secret = random_token(ID_CHARS), random_token(SECRET_CHARS)
    key = _row(pepper, key_id, secret, name, scopes, expires_at, networks)
    await database.run(ApiKeys.insert(key))
    return token_of(key_id, secret)


def seeded(pepper: str, seed: str) -> str:
    """Return the token that follows from a seed; it is secret without the seed and the pepper."""
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
    """Make the key of this seed with the server's rights, for the console, and return it.

    Raises ForbiddenError for the scope operator, and ConfigurationError for another pepper.
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
    await database.execute(_SQL["add"](secret_hash=_hash(pepper, secret), **given))
    return token


async def take_back(database: Database, key_id: str) -> bool:
    """Revoke a key with the server's rights; return False if no valid key has this id."""
    return bool(await database.fetchval(_SQL["take_back"](id=key_id)))


async def put_known(
    database: Database, pepper: str, key_id: str, secret: str, name: str, scopes: Collection[Scope]
) -> bool:
    """Make a key with a given id and secret, or set its secret; return False if it had
    that secret.
    """
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
    """Return the key as its holder sends it."""
    return f"tb_{key_id}_{secret}"


def id_of(token: str) -> str:
    """Return the part of a token that is not secret."""
    return token.split("_")[1]


async def revoke(database: Database, key_id: str) -> bool:
    """Revoke a key; return False if no valid key has this id."""
    good = (ApiKeys.id == key_id) & ApiKeys.revoked_at.is_null()
    revoked = ApiKeys.update({ApiKeys.revoked_at: _NOW}).where(good).returning(ApiKeys.id)
    return bool(await database.run(revoked))


async def rotate(
    database: Database, pepper: str, key_id: str, overlap: timedelta
) -> tuple[str, datetime]:
    """Make a new key like this one; the old key ends after ``overlap``.

    Returns the new key, which cannot be read again, and when the old one ends. Raises
    KeyUnknownError if no valid key has this id.
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
    """Checks keys against all keys of the book, which it reads every few seconds.

    A book has as many keys as it has back ends and people, so all are in memory. Any number of
    unknown ids costs no further query.
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
        """Return the valid key of this token; raise UnauthenticatedError for any other.

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
        # Compared even if there is no such key, so that the time reveals nothing.
        if not hmac.compare_digest(given, key.secret_hash if key else bytes(32)) or key is None:
            raise UnauthenticatedError("This API key is not known.")
        return key

    async def still_good(self, key_id: str, address: Address | None = None) -> ApiKey:
        """Check a key again by its id, after its token was checked before; raises like `check`."""
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
        """Return the name of a key as read last, valid or not."""
        key = self._known.get(key_id)
        return key.name if key else None

    async def store_uses(self) -> None:
        """Store when each key was last used, as far as this process has seen."""
        used, self._used = self._used, {}
        if used:
            ids = sorted(used)  # in one order, so that processes do not wait for one another
            await self._database.execute(
                _SQL["store_uses"](ids=ids, used_at=[used[one] for one in ids])
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
    # A fast hash is enough: the secret is 200 random bits, not a password.
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)
