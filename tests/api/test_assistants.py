"""Tools for assistants, driven by the protocol's own client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from app.infrastructure.db import Database
from app.infrastructure.settings import Assistants, Settings
from app.web.assistants import CORRECTIONS, PATH, READS
from tests.api_client import BASE, Api, open_api
from tests.contract.test_routes import HAS_A_GOOD_KEY, LETS_IN, PLACES

GOOD = {
    "amount": 1,
    "reason": "x",
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-01-01T00:00:00Z",
    "idempotency_key": "said below",
}
URL = f"{BASE}{PATH}"


class Served(Api):
    """A service that serves tools, and a client of them."""

    @asynccontextmanager
    async def tools(self, scope: str) -> AsyncIterator[Client]:
        """The tools, by a key of this scope."""
        transport = httpx2.ASGITransport(app=self.client._transport.app)  # type: ignore[attr-defined]
        async with (
            httpx2.AsyncClient(transport=transport, headers=self.headers(scope)) as http,
            Client(streamable_http_client(URL, http_client=http)) as client,
        ):
            yield client


@asynccontextmanager
async def serving(
    database: Database, settings: Settings, what: Assistants
) -> AsyncIterator[Served]:
    async with open_api(database, msgspec.structs.replace(settings, assistants=what)) as api:
        await api.put("/api/v1/accounts/user-1", {})
        await api.spend("user-1", 2, "key-1")
        yield Served(api.client, api.tokens, api.secret)


async def call(client: Client, tool: str, **arguments: Any) -> tuple[bool, dict[str, Any]]:
    """Whether it is an error, and the body."""
    result = await client.call_tool(tool, arguments)
    return bool(result.is_error), json.loads(result.content[0].text)  # type: ignore[union-attr]


async def test_no_tool_is_served_where_none_is_asked_for(api: Api) -> None:
    answer = await api.client.post(PATH, json={}, headers=api.headers("operator"))
    assert answer.status_code == 404


async def test_only_the_setting_serves_corrections(database: Database, settings: Settings) -> None:
    reads = {handler.fn.__name__ for handler in READS}
    corrections = {handler.fn.__name__ for handler in CORRECTIONS}
    async with serving(database, settings, "read") as api, api.tools("operator") as client:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == reads
        with pytest.raises(MCPError, match="not found"):
            await client.call_tool("suspend_account", {"account_id": "user-1", "reason": "no"})
    async with serving(database, settings, "corrections") as api, api.tools("operator") as client:
        listed = (await client.list_tools()).tools
        told = {tool.name: tool.annotations.read_only_hint for tool in listed if tool.annotations}
        assert told == {**dict.fromkeys(reads, True), **dict.fromkeys(corrections, False)}
        assert (await api.account("user-1"))["suspended_at"] is None


async def test_a_tool_answers_as_its_route_does(database: Database, settings: Settings) -> None:
    async with serving(database, settings, "read") as api, api.tools("auditor") as client:
        for tool, path, arguments in (
            ("get_account", "/api/v1/accounts/user-1", {}),
            ("explain_why", "/api/v1/accounts/user-1/why", {"on": "2026-01-01"}),
            ("list_accounts", "/api/v1/accounts", {"suspended": False, "limit": 1}),
            ("list_entries", "/api/v1/ledger/entries", {"account_id": "user-1", "kind": "spend"}),
            ("get_account", "/api/v1/accounts/nobody", {}),
            ("list_entries", "/api/v1/ledger/entries", {"limit": 0}),
        ):
            account = {"account_id": path.split("/")[4]} if "/accounts/" in path else {}
            over_http = await api.get(path, **arguments)
            failed, body = await call(client, tool, **account, **arguments)
            assert (failed, body) == (over_http.status_code >= 400, over_http.json())
        # Assistants send null for what they leave out.
        failed, body = await call(client, "list_entries", account_id="user-1", cursor=None)
        assert not failed
        assert [entry["kind"] for entry in body["data"]] == ["grant", "spend"]


async def test_an_assistant_verifies_and_reads_what_was_found(
    database: Database, settings: Settings, superuser: asyncpg.Connection
) -> None:
    async with serving(database, settings, "read") as api, api.tools("auditor") as client:
        verifier = api.client._transport.app.state.verifier  # type: ignore[attr-defined]
        failed, begun = await call(client, "verify")
        assert not failed
        await verifier.wait()
        _, found = await call(client, "get_verification", verification_id=begun["id"])
        assert (found["state"], found["done_count"]) == ("clean", found["check_count"])
        assert found == (await api.get(f"/api/v1/verifications/{begun['id']}")).json()

        await superuser.execute(
            "SET session_replication_role = replica; UPDATE accounts SET free = free + 1"
        )
        _, begun = await call(client, "verify")
        await verifier.wait()
        _, listed = await call(client, "list_verifications", limit=1)
        (found,) = listed["data"]
        assert (found["id"], found["state"]) == (begun["id"], "differs")
        wrong = {check["name"]: check["differences"] for check in found["checks"]}
        assert "account 1" in str(wrong["every account's sides are the sum of its entries"])


async def test_a_tool_is_open_to_whom_its_route_is_open(
    database: Database, settings: Settings
) -> None:
    async with serving(database, settings, "corrections") as api:
        for scope in HAS_A_GOOD_KEY:
            async with api.tools(scope) as client:
                listed = {tool.name: tool for tool in (await client.list_tools()).tools}
                for handler in (*READS, *CORRECTIONS):
                    schema = listed[handler.fn.__name__].input_schema
                    needed = {*schema["required"], *({"amount"} & schema["properties"].keys())}
                    arguments = {name: GOOD.get(name) or PLACES[name] for name in needed}
                    if "idempotency_key" in needed:
                        arguments["idempotency_key"] = f"{scope} {handler.fn.__name__}"
                    failed, body = await call(client, handler.fn.__name__, **arguments)
                    let_in = scope in LETS_IN[handler.opt["access"]]
                    assert (failed and body.get("code") == "forbidden") != let_in, body


async def test_a_correction_happens_once_under_its_key(
    database: Database, settings: Settings
) -> None:
    async with serving(database, settings, "corrections") as api, api.tools("operator") as client:
        wanted = {"account_id": "user-1", "amount": 5, "reason": "sorry"}
        first = await call(client, "grant_credits", **wanted, idempotency_key="one")
        assert await call(client, "grant_credits", **wanted, idempotency_key="one") == first
        assert (await api.account("user-1"))["available"] == 8
        failed, body = await call(client, "grant_credits", **wanted)
        assert failed
        assert "idempotency_key" in str(body)
        spent = (await call(client, "list_entries", kind="spend"))[1]["data"][0]
        back = {"journal_id": spent["journal_id"], "reason": "a mistake", "idempotency_key": "two"}
        failed, body = await call(client, "reverse", **back, dry_run=True)
        assert (failed, body["requested"], body["dry_run"]) == (False, 2, True)
        assert (await api.account("user-1"))["available"] == 8
        await call(client, "reverse", **back)
        assert (await api.account("user-1"))["available"] == 10


async def test_without_a_good_key_there_is_nothing(database: Database, settings: Settings) -> None:
    async with serving(database, settings, "read") as api:
        for headers in ({}, {"Authorization": "Bearer tb_none"}):
            answer = await api.client.post(PATH, json={}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
