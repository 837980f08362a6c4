"""One idempotency key is one act, in each of two namespaces: operators' routes, and all others."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.infrastructure.db import Database
from app.ledger import idempotency
from app.ledger.idempotency import request_key
from app.runs.run import run_due
from tests.acts import DAY
from tests.api_client import Api
from tests.conftest import NOW

ACCOUNT = "/api/v1/accounts/user-1"


@pytest.fixture(autouse=True)
async def account(api: Api) -> None:
    await api.put(ACCOUNT, {})


async def post(api: Api, path: str, body: dict[str, Any], key: str, scope: str) -> httpx.Response:
    headers = api.headers(scope, **{"Idempotency-Key": key})
    return await api.client.post(path, json=body, headers=headers)


async def grant(api: Api, key: str, amount: int = 3) -> httpx.Response:
    body = {"amount": amount, "reason": "a gift"}
    return await post(api, f"{ACCOUNT}/grants", body, key, "operator")


async def adjust(api: Api, key: str) -> httpx.Response:
    body = {"amount": 2, "reason": "a miscount"}
    return await post(api, f"{ACCOUNT}/adjustments", body, key, "operator")


def reused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json().get("code")) == (422, "idempotency_key_reused")


async def test_an_application_cannot_use_up_an_operators_key(api: Api) -> None:
    """A service's key once burned `refund-2026-001`: the operator's grant was refused for good."""
    assert (await api.spend("user-1", 1, "refund-2026-001")).status_code == 201
    held = await post(api, f"{ACCOUNT}/holds", {"amount": 1}, "refund-2026-002", "service")
    assert held.status_code == 201
    assert (await grant(api, "refund-2026-001")).status_code == 201
    assert (await adjust(api, "refund-2026-002")).status_code == 201
    # Each is remembered in its own.
    assert (await api.spend("user-1", 1, "refund-2026-001")).headers["idempotency-replayed"]
    assert (await grant(api, "refund-2026-001")).headers["idempotency-replayed"]
    assert reused(await api.spend("user-1", 2, "refund-2026-001"))
    assert reused(await grant(api, "refund-2026-001", 4))


async def test_an_operators_spend_has_an_applications_key(api: Api) -> None:
    """The route says which namespace it is, not who calls."""
    assert (await api.spend("user-1", 1, "k")).status_code == 201
    again = await post(api, f"{ACCOUNT}/spends", {"amount": 1}, "k", "operator")
    assert again.headers["idempotency-replayed"] == "true"


async def test_one_key_is_one_act_of_an_operator(api: Api) -> None:
    assert (await grant(api, "k")).status_code == 201
    assert reused(await adjust(api, "k"))


@pytest.fixture
async def run_id(api: Api, book: Any) -> str:
    """A run of the second day."""
    await api.set_clock(NOW + DAY, tick=False)
    await run_due(book.database, book.catalogues, "tests", 20)
    return str((await api.get("/api/v1/runs")).json()["data"][-1]["id"])


async def reverse(api: Api, run_id: str, key: str) -> httpx.Response:
    body = {"run_id": run_id, "reason": "a mistake"}
    return await post(api, "/api/v1/reversals", body, key, "operator")


async def test_a_runs_reversal_and_a_grant_have_no_key_in_common(api: Api, run_id: str) -> None:
    assert (await grant(api, "gift")).status_code == 201
    assert reused(await reverse(api, run_id, "gift"))
    assert (await reverse(api, run_id, "run")).status_code == 202
    assert reused(await grant(api, "run"))
    assert reused(await adjust(api, "run"))


async def test_of_a_grant_and_a_runs_reversal_at_once_under_one_key_one_stands(
    api: Api, run_id: str, database: Database
) -> None:
    """They stand in two tables, each with a unique index of its own: the key itself is locked."""
    async with database.transaction():
        held = request_key("both", "POST", "/", {})
        assert await idempotency.stored_for_operator(database, held) is None
        asked = [
            asyncio.create_task(act) for act in (reverse(api, run_id, "both"), grant(api, "both"))
        ]
        done, waiting = await asyncio.wait(asked, timeout=0.5)
        assert (len(done), len(waiting)) == (0, 2)
    answers = [await one for one in asked]
    assert sorted(one.status_code for one in answers)[1] == 422
    assert len([one for one in answers if reused(one)]) == 1


async def test_the_look_for_a_spends_key_goes_by_its_index(database: Database) -> None:
    async with database.transaction():
        await database.execute("SET LOCAL enable_seqscan = off")
        asked = idempotency.asked([request_key("k", "POST", "/", {})])
        look, *keys = idempotency._SQL["applications_answers"](**asked)
        plan = await database.fetch(f"EXPLAIN {look}", *keys)
    told = "\n".join(row[0] for row in plan)
    assert "journals_key" in told
    assert "erased_keys_pkey" in told
