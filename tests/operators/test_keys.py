"""API keys: shown once, stored hashed, scoped, expiring, revocable within seconds."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import UnauthenticatedError
from app.infrastructure.db import Database
from app.operators import keys
from app.operators.keys import CACHE_KEYS_MAX, CACHE_SECONDS, ApiKey, Keyring, Scope
from tests.as_owner import owner_of
from tests.conftest import Server, open_database
from tests.operators.conftest import PEPPER, Stopwatch


@pytest.fixture
async def database(database: Database) -> AsyncIterator[Database]:
    """The book by its owner's login: no server writes keys."""
    async with owner_of(database) as owner:
        yield owner


async def create(database: Database, *scopes: Scope, expires_at: datetime | None = None) -> str:
    return await keys.create(database, PEPPER, "tests", scopes or (Scope.SERVICE,), expires_at)


def key_id(token: str) -> str:
    return token.split("_")[1]


async def test_a_key_is_known_by_its_token(database: Database, keyring: Keyring) -> None:
    token = await create(database, Scope.SERVICE, Scope.AUDITOR)
    key = await keyring.check(token)
    assert key.id == key_id(token)
    assert key.scopes == {Scope.SERVICE, Scope.AUDITOR}


async def test_the_database_does_not_hold_what_would_open_the_door(database: Database) -> None:
    token = await create(database)
    secret = token.split("_")[2]
    (row,) = await database.fetch("SELECT whole::text, secret_hash FROM api_keys AS whole")
    assert secret not in row["whole"]
    assert secret.encode().hex() not in row["whole"]
    assert row["secret_hash"] != hashlib.sha256(secret.encode()).digest(), "the pepper is in it"


async def test_another_pepper_knows_no_key(database: Database) -> None:
    token = await create(database)
    with pytest.raises(UnauthenticatedError):
        await Keyring(database, "another-pepper-of-the-tests").check(token)


async def test_a_spoilt_token_is_unknown(database: Database, keyring: Keyring) -> None:
    token = await create(database)
    await keyring.check(token)
    prefix, number, secret = token.split("_")
    other = "0" if secret[-1] != "0" else "1"
    spoilt = ["", "tb_", token[:-1], f"{token}0", f"sk_{number}_{secret}", token.upper()]
    spoilt += [f"{prefix}_{number}_{secret[:-1]}{other}", f"{prefix}_{'0' * 10}_{secret}"]
    spoilt += [f"{prefix}_{number}_{letter * 40}" for letter in ("é", "\0", "٣", "_", "'")]
    for one in spoilt:
        with pytest.raises(UnauthenticatedError):
            await keyring.check(one)


async def test_a_revoked_key_is_refused_once_the_cache_forgets_it(
    database: Database, keyring: Keyring, watch: Stopwatch
) -> None:
    token = await create(database)
    await keyring.check(token)
    assert await keys.revoke(database, key_id(token))
    watch.seconds += CACHE_SECONDS
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await keyring.check(token)


async def test_a_process_that_did_not_know_the_key_refuses_it_at_once(
    database: Database, server: Server
) -> None:
    token = await create(database)
    await keys.revoke(database, key_id(token))
    async with open_database(server.application_url) as another:
        with pytest.raises(UnauthenticatedError, match="revoked"):
            await Keyring(another, PEPPER).check(token)


async def test_revoking_twice_or_what_is_not_there_says_so(database: Database) -> None:
    token = await create(database)
    assert await keys.revoke(database, key_id(token)) is True
    assert await keys.revoke(database, key_id(token)) is False
    assert await keys.revoke(database, "nobody") is False


async def test_a_key_expires_by_wall_time(database: Database, keyring: Keyring) -> None:
    now = datetime.now(UTC)
    good = await create(database, expires_at=now + timedelta(hours=1))
    over = await create(database, expires_at=now - timedelta(seconds=1))
    assert (await keyring.check(good)).id == key_id(good)
    with pytest.raises(UnauthenticatedError, match="expired"):
        await keyring.check(over)


async def test_a_known_key_costs_no_second_query(
    server: Server, database: Database, watch: Stopwatch
) -> None:
    token = await create(database)
    async with open_database(server.application_url) as another:
        keyring = Keyring(another, PEPPER, watch)
        await keyring.check(token)
    # The pool is closed: only what is remembered can still answer.
    assert (await keyring.check(token)).id == key_id(token)
    watch.seconds += CACHE_SECONDS
    with pytest.raises(RuntimeError):
        await keyring.check(token)


async def test_the_cache_is_bounded(database: Database, keyring: Keyring) -> None:
    await database.execute(
        """INSERT INTO api_keys (id, name, scopes, secret_hash, created_at)
           SELECT lpad(n::text, 10, '0'), 'n', '{service}', '\\x00', now()
             FROM generate_series(1, $1) AS n""",
        CACHE_KEYS_MAX + 5,
    )
    for number in range(1, CACHE_KEYS_MAX + 6):
        with pytest.raises(UnauthenticatedError):
            await keyring.check(f"tb_{number:010}_{'a' * 40}")
    assert len(keyring._seen) <= CACHE_KEYS_MAX


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        ({Scope.SERVICE}, {Scope.SERVICE}, True),
        ({Scope.SERVICE}, {Scope.AUDITOR}, False),
        ({Scope.SERVICE}, {Scope.OPERATOR}, False),
        ({Scope.AUDITOR}, {Scope.SERVICE}, False),
        ({Scope.AUDITOR}, {Scope.SERVICE, Scope.AUDITOR}, True),
        ({Scope.AUDITOR, Scope.SERVICE}, {Scope.OPERATOR}, False),
        ({Scope.OPERATOR}, {Scope.SERVICE}, True),
        ({Scope.OPERATOR}, {Scope.AUDITOR}, True),
        ({Scope.OPERATOR}, {Scope.OPERATOR}, True),
    ],
)
def test_operator_may_what_both_others_may(
    held: set[Scope], wanted: set[Scope], allowed: bool
) -> None:
    key = ApiKey("id", "name", frozenset(held), bytes(32), None, None)
    assert key.allows(wanted) is allowed
