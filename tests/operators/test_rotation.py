"""A key is rotated without a gap, and a revoked one is refused by every process within seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import KeyUnknownError, UnauthenticatedError
from app.infrastructure.db import Database
from app.operators import keys
from app.operators.keys import CACHE_SECONDS, Keyring, Scope, id_of
from tests.as_owner import owner_of
from tests.conftest import Server, open_database
from tests.operators.conftest import PEPPER, Stopwatch
from tests.operators.test_keys import create

HOUR = timedelta(hours=1)
REVOKED_EVERYWHERE_SECONDS_MAX = 5.0


@pytest.fixture
async def database(database: Database) -> AsyncIterator[Database]:
    """The book by its owner's login: no server writes keys."""
    async with owner_of(database) as owner:
        yield owner


async def test_both_keys_are_good_until_the_overlap_ends(
    database: Database, keyring: Keyring, watch: Stopwatch
) -> None:
    old = await create(database, Scope.SERVICE, Scope.AUDITOR)
    new, ends_at = await keys.rotate(database, PEPPER, id_of(old), HOUR)
    assert abs(ends_at - datetime.now(UTC) - HOUR) < timedelta(minutes=1)
    first, second = await keyring.check(old), await keyring.check(new)
    assert (second.name, second.scopes, second.expires_at) == (first.name, first.scopes, None)
    assert second.id != first.id
    assert id_of(new) == second.id
    await database.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", first.id)
    watch.seconds += CACHE_SECONDS
    with pytest.raises(UnauthenticatedError, match="expired"):
        await keyring.check(old)
    await keyring.check(new)


async def test_without_an_overlap_the_old_key_ends_at_once(
    database: Database, keyring: Keyring
) -> None:
    old = await create(database)
    await keys.rotate(database, PEPPER, id_of(old), timedelta(0))
    with pytest.raises(UnauthenticatedError, match="expired"):
        await keyring.check(old)


async def test_a_rotation_never_makes_a_key_last_longer(database: Database) -> None:
    ends_at = datetime.now(UTC) + timedelta(minutes=5)
    old = await create(database, expires_at=ends_at)
    new, old_ends_at = await keys.rotate(database, PEPPER, id_of(old), HOUR)
    assert old_ends_at == ends_at
    assert (
        await database.fetchval("SELECT expires_at FROM api_keys WHERE id = $1", id_of(new))
        == ends_at
    )


async def test_only_a_good_key_is_rotated(database: Database) -> None:
    revoked = await create(database)
    await keys.revoke(database, id_of(revoked))
    over = await create(database, expires_at=datetime.now(UTC) - HOUR)
    before = await database.fetchval("SELECT count(*) FROM api_keys")
    for key_id in (id_of(revoked), id_of(over), "nobody"):
        with pytest.raises(KeyUnknownError):
            await keys.rotate(database, PEPPER, key_id, HOUR)
    assert await database.fetchval("SELECT count(*) FROM api_keys") == before


async def test_every_process_refuses_a_revoked_key_within_five_seconds(
    database: Database, server: Server, watch: Stopwatch
) -> None:
    token = await create(database)
    async with open_database(server.application_url) as another:
        rings = [Keyring(database, PEPPER, watch), Keyring(another, PEPPER, watch)]
        for ring in rings:
            await ring.check(token)
        await keys.revoke(database, id_of(token))
        watch.seconds += REVOKED_EVERYWHERE_SECONDS_MAX
        for ring in rings:
            with pytest.raises(UnauthenticatedError, match="revoked"):
                await ring.check(token)
    assert CACHE_SECONDS <= REVOKED_EVERYWHERE_SECONDS_MAX
