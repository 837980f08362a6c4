"""API keys: shown once, stored hashed, scoped, expiring, revocable within seconds."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import Any

import asyncpg
import pytest

from app.errors import ForbiddenError, UnauthenticatedError
from app.infrastructure.db import Database
from app.infrastructure.ids import ALPHABET, random_token
from app.infrastructure.rates import parse_networks
from app.operators import keys
from app.operators.keys import (
    CACHE_SECONDS,
    DEVELOPMENT_IDS,
    ID_CHARS,
    SECRET_CHARS,
    UNKNOWN_SECONDS,
    ApiKey,
    Keyring,
    Scope,
)
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


async def test_a_flood_of_unknown_keys_asks_the_database_no_more_often(
    database: Database, keyring: Keyring, watch: Stopwatch
) -> None:
    """Each of them was looked up, before the address' limit was asked."""
    token = await create(database)

    async def flood(count: int) -> None:
        for number in range(count):
            with pytest.raises(UnauthenticatedError):
                await keyring.check(f"tb_{number:010}_{'a' * 40}")

    asked = await queries(database, partial(flood, 500))
    assert asked == 1
    assert (await keyring.check(token)).id == key_id(token), "known since the flood's first query"
    new = await create(database)
    watch.seconds += UNKNOWN_SECONDS
    assert (await keyring.check(new)).id == key_id(new), "found though the flood goes on"


async def queries(database: Database, act: Callable[[], Awaitable[object]]) -> int:
    """How many statements the act sent to read keys."""
    counted = 0
    run = database.run

    async def counting(query: Any) -> Any:
        nonlocal counted
        counted += 1
        return await run(query)

    database.run = counting  # type: ignore[method-assign]
    try:
        await act()
    finally:
        del database.run
    return counted


async def test_calls_at_once_read_the_keys_once(database: Database, keyring: Keyring) -> None:
    token = await create(database)

    async def together() -> None:
        await asyncio.gather(*(keyring.check(token) for _ in range(20)))

    assert await queries(database, together) == 1


@pytest.mark.parametrize("known_as", sorted(DEVELOPMENT_IDS))
async def test_production_takes_no_development_key(database: Database, known_as: str) -> None:
    secret = random_token(SECRET_CHARS)
    assert await keys.put_known(database, PEPPER, known_as, secret, "dev", [Scope.OPERATOR])
    token = keys.token_of(known_as, secret)
    assert (await Keyring(database, PEPPER).check(token)).id == known_as
    with pytest.raises(UnauthenticatedError, match="development key"):
        await Keyring(database, PEPPER, production=True).check(token)


def test_no_key_that_is_drawn_has_a_development_id() -> None:
    for known_as in DEVELOPMENT_IDS:
        assert len(known_as) == ID_CHARS
        assert set(known_as) - set(ALPHABET), "it could be drawn"


async def test_a_key_may_be_used_from_its_networks_alone(
    database: Database, keyring: Keyring
) -> None:
    networks = parse_networks("10.0.0.0/8,2001:db8::/32")
    token = await keys.create(database, PEPPER, "t", [Scope.SERVICE], networks=networks)
    for address in ("10.1.2.3", "2001:db8::7"):
        assert (await keyring.check(token, ip_address(address))).id == key_id(token)
    for address in ("11.0.0.1", "2001:db9::7"):
        with pytest.raises(ForbiddenError, match="address"):
            await keyring.check(token, ip_address(address))
    with pytest.raises(ForbiddenError):
        await keyring.check(token, None)
    renewed, _ = await keys.rotate(database, PEPPER, key_id(token), timedelta(hours=1))
    with pytest.raises(ForbiddenError):
        await Keyring(database, PEPPER).check(renewed, ip_address("11.0.0.1"))


async def test_the_database_takes_no_network_that_is_none(database: Database) -> None:
    await create(database)
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await database.execute("UPDATE api_keys SET networks = '{10.0.0.0/8,anywhere}'")


async def test_a_use_is_stored_with_its_time_and_never_put_back(
    database: Database, keyring: Keyring
) -> None:
    used, unused = await create(database), await create(database)
    before = datetime.now(UTC)
    await keyring.check(used)
    with pytest.raises(UnauthenticatedError):
        await keyring.check(f"{unused[:-40]}{'0' * 40}")
    await keyring.store_uses()
    (row,) = await database.fetch("SELECT * FROM key_uses")
    assert row["key_id"] == key_id(used)
    assert before <= row["last_used_at"] <= datetime.now(UTC)
    await database.execute("UPDATE key_uses SET last_used_at = now() + interval '1 hour'")
    later = await database.fetchval("SELECT last_used_at FROM key_uses")
    await keyring.check(used)
    await keyring.store_uses()
    assert await database.fetchval("SELECT last_used_at FROM key_uses") == later


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        ({Scope.SERVICE}, {Scope.SERVICE}, True),
        ({Scope.SERVICE}, {Scope.AUDITOR}, False),
        ({Scope.SERVICE}, {Scope.OPERATOR}, False),
        ({Scope.AUDITOR}, {Scope.SERVICE}, False),
        ({Scope.AUDITOR}, {Scope.SERVICE, Scope.AUDITOR}, True),
        ({Scope.AUDITOR, Scope.SERVICE}, {Scope.OPERATOR}, False),
        ({Scope.READ}, {Scope.SERVICE}, False),
        ({Scope.READ}, {Scope.SERVICE, Scope.READ}, True),
        ({Scope.SPEND}, {Scope.READ, Scope.AUDITOR}, False),
        ({Scope.OPERATOR}, {Scope.SPEND}, True),
        ({Scope.OPERATOR}, {Scope.SERVICE}, True),
        ({Scope.OPERATOR}, {Scope.AUDITOR}, True),
        ({Scope.OPERATOR}, {Scope.OPERATOR}, True),
    ],
)
def test_operator_may_what_all_others_may(
    held: set[Scope], wanted: set[Scope], allowed: bool
) -> None:
    key = ApiKey("id", "name", frozenset(held), bytes(32), None, None)
    assert key.allows(wanted) is allowed
