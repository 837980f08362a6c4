"""Accounts that are asked for at once are read by one statement, and each gets its own answer."""

from __future__ import annotations

import asyncio
from typing import Any

from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

NAMES = [f"user-{number}" for number in range(12)]


async def prepare(api: Api) -> None:
    """Accounts that differ: spent, of a customer, renamed, joined, and some that are not plain."""
    for number, name in enumerate(NAMES):
        assert (await api.put(f"/api/v1/accounts/{name}", {})).status_code == 201
        if number % 3:
            assert (await api.spend(name, number % 3, f"k{number}")).status_code == 201
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    headers = api.headers("operator", **{"Idempotency-Key": "rename"})
    body = {"to": "renamed", "reason": "a test"}
    answer = await api.client.post("/api/v1/accounts/user-2/rename", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    headers = api.headers("operator", **{"Idempotency-Key": "merge"})
    body = {"into": "user-4", "reason": "a test"}
    answer = await api.client.post("/api/v1/accounts/user-3/merge", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    headers = api.headers("service", **{"Idempotency-Key": "hold"})
    answer = await api.client.post(
        "/api/v1/accounts/user-5/holds", json={"amount": 1}, headers=headers
    )
    assert answer.status_code == 201, answer.text


async def test_each_gets_what_it_would_get_alone(api: Api, database: Database) -> None:
    await prepare(api)
    asked = [*NAMES, "cus_1", "renamed", "nobody", "user-7", "user-7", "user 8"]
    for ending in ("", "/balance"):
        paths = [f"/api/v1/accounts/{name}{ending}" for name in asked]
        alone = [await told(api, path) for path in paths]
        together = await asyncio.gather(*(told(api, path) for path in paths))
        assert together == alone
        statuses = {status for status, _ in together}
        assert statuses == {200, 400, 404}


async def told(api: Api, path: str) -> tuple[int, Any]:
    answer = await api.get(path, "service")
    return answer.status_code, answer.json()


async def test_a_look_that_fails_fails_for_all_of_its_group_and_for_no_later_one(
    api: Api, superuser: Any
) -> None:
    await prepare(api)
    await superuser.execute("ALTER TABLE lots RENAME TO lost")
    answers = await asyncio.gather(*(told(api, f"/api/v1/accounts/{name}") for name in NAMES))
    assert {status for status, _ in answers} == {500}
    await superuser.execute("ALTER TABLE lost RENAME TO lots")
    answers = await asyncio.gather(*(told(api, f"/api/v1/accounts/{name}") for name in NAMES))
    assert {status for status, _ in answers} == {200}
