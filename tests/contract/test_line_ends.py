"""Python's `$` lets a line end through; no pattern of ours does, wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from tests.api_client import Api

# What each parameter with a pattern takes; a new one stands here too.
GOOD = {
    "account_id": "user-1",
    "journal_id": "jrn_0000000000001",
    "hold_id": "hld_0000000000001",
    "lot_id": "lot_0000000000001",
    "run_id": "run_0000000000001",
    "reversal_id": "rev_0000000000001",
    "event_id": "evt_1",
    "verification_id": "ver_0000000000001",
    "endpoint_id": "main",
    "message_id": "msg_0000000000001",
    "subscription_id": "sub_1",
    "stripe_customer_id": "cus_1",
    "customer_id": "cus_1",
    "Idempotency-Key": "key-1",
    "Stripe-Signature": f"t=1,v1={'0' * 64}",
    "cursor": "abc",
    "type": "invoice.paid",
    "tier": "PRO",
    "label": "model/large",
    "by": "day,tier",
    "month": "2026-01",
    "member": "ann",
    "idempotency_key": "key-1",
    **dict.fromkeys(
        (
            "at",
            "as_of",
            "from",
            "to",
            "recorded_from",
            "recorded_to",
            "effective_from",
            "effective_to",
        ),
        "2026-01-01T00:00:00Z",
    ),
}


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def pattern_of(described: dict[str, Any]) -> str | None:
    either = [described, *described.get("oneOf", ()), *described.get("anyOf", ())]
    return next((one["pattern"] for one in either if "pattern" in one), None)


def body_of(operation: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The name of the body's shape, and a body that it takes."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        found = re.search(r"schemas/(\w+)", str(content["schema"]))
        if found:
            return found[1], content["example"]
    return None


FREE_TEXT = r"^[^\x00]*$"  # a reason may have several lines


@pytest.fixture
async def schema(api: Api) -> dict[str, Any]:
    """The description as served."""
    return (await api.client.get("/schema/openapi.json")).json()


@pytest.fixture
async def as_it_was(database: Database, book: Book) -> Any:
    """An account and the check that no row of any table is another than before."""
    await put(book, "user-1", "cus_1", None, "tests")
    tables = [
        row["relname"]
        for row in await database.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = "
            "'public'::regnamespace AND has_table_privilege(oid, 'SELECT') ORDER BY 1"
        )
    ]

    async def rows() -> dict[str, str]:
        told = "SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {} t"
        return {name: await database.fetchval(told.format(name)) for name in tables}

    before = await rows()
    assert len(before) > 15

    async def check() -> None:
        assert await rows() == before

    return check


async def call(api: Api, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {api.tokens['operator']}",
        "Idempotency-Key": GOOD["Idempotency-Key"],
        **more.pop("headers", {}),
    }
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    return await api.client.request(method, path, headers=sent, **more)


def is_refused(answer: httpx.Response) -> bool:
    return (
        answer.status_code in (400, 404, 422)
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["status"] == answer.status_code
    )


def filled(path: str, **bent: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda place: bent.get(place[1], GOOD[place[1]]), path)


async def test_no_parameter_takes_a_line_end_behind_a_good_value(
    api: Api, schema: dict[str, Any], as_it_was: Any
) -> None:
    wrong, tried = [], 0
    for method, path, operation in operations(schema):
        body = body_of(operation)
        more = {"json": body[1]} if body else {}
        for parameter in operation.get("parameters", ()):
            if pattern_of(parameter["schema"]) in (None, FREE_TEXT):
                continue
            name, value = parameter["name"], GOOD[parameter["name"]]
            if parameter["in"] == "path":
                sent = await call(api, method, filled(path, **{name: f"{value}%0A"}), **more)
            elif parameter["in"] == "query":
                needed = "to=2026-01-02T00:00:00Z" if name == "from" else "from=2026-01-01T00:00Z"
                rest = f"&{needed}" if "roll-forward" in path else ""
                sent = await call(api, method, f"{filled(path)}?{name}={value}%0A{rest}", **more)
            else:
                sent = await call(api, method, filled(path), headers={name: f"{value}\n"}, **more)
            tried += 1
            if not is_refused(sent):
                wrong.append(f"{method} {path} {name}: {sent.status_code} {sent.text[:200]}")
    assert wrong == []
    assert tried > 50
    await as_it_was()


async def test_no_member_of_a_body_takes_a_line_end_behind_a_good_value(
    api: Api, schema: dict[str, Any], as_it_was: Any
) -> None:
    shapes, wrong, tried = schema["components"]["schemas"], [], 0
    for method, path, operation in operations(schema):
        body = body_of(operation)
        if body is None:
            continue
        for name, member in shapes[body[0]]["properties"].items():
            if pattern_of(member) in (None, FREE_TEXT):
                continue
            bent = {**body[1], name: f"{body[1].get(name) or GOOD.get(name, 'x')}\n"}
            sent = await call(api, method, filled(path), json=bent)
            tried += 1
            if not is_refused(sent):
                wrong.append(f"{method} {path} {name}: {sent.status_code} {sent.text[:200]}")
    item = {"account_id": "user-1", "amount": 1, "idempotency_key": "key-1"}
    for name in ("account_id", "idempotency_key"):
        batch = {"spends": [{**item, name: f"{item[name]}\n"}]}
        assert is_refused(await call(api, "POST", "/api/v1/spends/batch", json=batch)), name
    assert wrong == []
    assert tried > 8
    await as_it_was()


def test_the_description_says_it_as_ecma_does(schema: dict[str, Any]) -> None:
    patterns: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            patterns.extend(v for k, v in node.items() if k == "pattern" and isinstance(v, str))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema["paths"])
    walk(schema["components"])
    assert len(patterns) > 50
    assert [one for one in patterns if "\\Z" in one or "\\A" in one] == []
    assert {one for one in patterns if not one.endswith("$")} == {"^t=[0-9]+,v1=[0-9a-f]{64}"}
