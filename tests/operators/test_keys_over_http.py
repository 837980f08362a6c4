"""Keys at the door: used from their networks alone, and their last use is stored."""

from __future__ import annotations

from typing import Any

import msgspec

from app.infrastructure.db import Database
from app.infrastructure.rates import parse_networks
from app.infrastructure.settings import Settings
from app.operators import keys
from app.operators.keys import Scope
from tests.api_client import open_api
from tests.as_owner import owner_of
from tests.contract.test_routes import is_problem


async def test_a_key_of_a_network_is_refused_from_elsewhere(
    database: Database, settings: Settings
) -> None:
    wanted = msgspec.structs.replace(settings, trusted_proxies=parse_networks("127.0.0.1"))
    networks = parse_networks("198.51.100.0/24")
    async with owner_of(database) as owner:
        token = await keys.create(
            owner, settings.key_pepper, "shop", [Scope.SERVICE], networks=networks
        )
    async with open_api(database, wanted) as api:

        async def call(address: str) -> Any:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
            return await api.client.get("/api/v1/accounts/nobody", headers=headers)

        assert is_problem(await call("198.51.100.9"), 404, "account_unknown")
        refused = await call("203.0.113.9")
        assert is_problem(refused, 403, "forbidden")
        assert "address" in refused.json()["detail"]
        assert is_problem(await call("nonsense"), 403, "forbidden")


async def test_a_server_that_ends_stores_when_keys_were_last_used(
    database: Database, settings: Settings
) -> None:
    async with open_api(database, settings) as api:
        used = keys.id_of(api.tokens["service"])
        await api.get("/api/v1/accounts/nobody", "service")
        assert await database.fetchval("SELECT count(*) FROM key_uses") == 0
    assert await database.fetchval("SELECT key_id FROM key_uses") == used
