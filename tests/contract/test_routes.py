"""Who may call what, for every route there is; and how each refusal reads."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import get
from litestar.routes import HTTPRoute

from app import asgi
from app.accounts.put import put
from app.book import Book
from app.errors import ConfigurationError
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators import keys
from app.operators.keys import Scope
from app.web.http.access import Access, access
from tests.api_client import Api
from tests.as_owner import make_key, owner_of

PLACES = {
    "account_id": "user-1",
    "journal_id": "jrn_0000000000001",
    "hold_id": "hld_0000000000001",
    "run_id": "run_0000000000001",
    "event_id": "evt_1",
    "subscription_id": "sub_1",
    "reversal_id": "rev_0000000000001",
    "size": "1",
    "level": "0",
    "number": "0",
    "place": "0/000",
    "endpoint_id": "endpoint-1",
    "message_id": "msg_0000000000001",
    "verification_id": "ver_0000000000001",
    "token": "no-link",
}
EVERYBODY = {
    *("nobody", "bad", "revoked", "expired"),
    *("read", "spend", "service", "auditor", "operator"),
}
# Whom each access lets in; everybody else is told 401 without a good key, 403 without the scope.
LETS_IN = {
    Access.OPEN: EVERYBODY,
    Access.SIGNATURE: EVERYBODY,
    Access.CRON: set(),
    Access.LINK: set(),
    Access.SERVICE: {"service", "operator"},
    Access.SPENDING: {"spend", "service", "operator"},
    Access.SPENDING_READ: {"spend", "service", "auditor", "operator"},
    Access.AUDITOR: {"auditor", "operator"},
    Access.SERVICE_OR_AUDITOR: {"service", "auditor", "operator"},
    Access.ACCOUNTS_READ: {"read", "service", "auditor", "operator"},
    Access.OPERATOR: {"operator"},
}
# Pages and their files: no part of the API, nor of its description.
FOR_PEOPLE = ("/schema", "/assets", "/zone", "/console", "/pages")
HAS_A_GOOD_KEY = {"read", "spend", "service", "auditor", "operator"}


def routes(settings: Settings) -> list[tuple[str, str, Access]]:
    """(method, path, access) of all that is served, but for the console (tests/console)."""
    return sorted(
        (method, route.path, handler.opt["access"])
        for route in asgi.create_app(settings).routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and not route.path.startswith("/console")
    )


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda place: PLACES.get(place[1], "x"), path)


@pytest.fixture
async def callers(
    api: Api, database: Database, settings: Settings, book: Book
) -> dict[str, dict[str, str]]:
    """The headers of each kind of caller."""
    await put(book, "user-1", "cus_1", None, "tests")

    async def made(**more: Any) -> str:
        return await make_key(database, settings.key_pepper, "t", [Scope.OPERATOR], **more)

    revoked = await made()
    async with owner_of(database) as owner:
        await keys.revoke(owner, revoked.split("_")[1])
    expired = await made(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    good = api.tokens["operator"]
    bad = good[:-1] + ("0" if good[-1] != "0" else "1")
    tokens = {"bad": bad, "revoked": revoked, "expired": expired, **api.tokens}
    return {
        "nobody": {},
        **{who: {"Authorization": f"Bearer {token}"} for who, token in tokens.items()},
    }


def expected(wanted: Access, who: str) -> set[int] | None:
    """The statuses of a refusal; None where the caller is let in."""
    if who in LETS_IN[wanted]:
        return None
    if wanted is Access.LINK:  # a key opens no link
        return {403}
    return {403} if who in HAS_A_GOOD_KEY and wanted is not Access.CRON else {401}


async def test_every_route_lets_in_whom_it_declares_and_nobody_else(
    api: Api, settings: Settings, callers: dict[str, dict[str, str]]
) -> None:
    wrong = []
    for method, path, wanted in routes(settings):
        for who, headers in callers.items():
            answer = await api.client.request(method, filled(path), headers=headers)
            refusal = expected(wanted, who)
            let_in = answer.status_code not in (401, 403)
            if refusal is None and not let_in:
                wrong.append(f"{method} {path} refuses {who}: {answer.status_code}")
            if refusal is not None and answer.status_code not in refusal:
                wrong.append(f"{method} {path} answers {who} {answer.status_code}")
            if not let_in and wanted is not Access.LINK:  # whose refusals are pages
                problem = answer.json()
                code = {401: "unauthenticated", 403: "forbidden"}[answer.status_code]
                assert problem["code"] == code
                assert answer.headers["content-type"] == "application/problem+json"
    assert wrong == []


def test_the_finer_scopes_open_these_alone(settings: Settings) -> None:
    def opened(who: str) -> set[str]:
        return {
            f"{method} {path}"
            for method, path, wanted in routes(settings)
            if who in LETS_IN[wanted]
        }

    to_all = opened("nobody")
    account = "/api/v1/accounts/{account_id:str}"
    assert opened("read") - to_all == {
        f"GET {account}",
        f"GET {account}/balance",
        f"GET {account}/balance/explain",
        f"GET {account}/why",
    }
    assert opened("spend") - to_all == {
        f"POST {account}/spends",
        "POST /api/v1/spends/batch",
        f"POST {account}/returns",
        f"POST {account}/holds",
        f"GET {account}/holds",
        "GET /api/v1/holds/{hold_id:str}",
        "POST /api/v1/holds/{hold_id:str}/extend",
        "POST /api/v1/holds/{hold_id:str}/capture",
        "POST /api/v1/holds/{hold_id:str}/release",
    }


async def test_the_cron_secret_opens_the_cron_and_nothing_else(
    api: Api, settings: Settings
) -> None:
    headers = {"Authorization": f"Bearer {settings.cron_secret}"}
    for method, path, wanted in routes(settings):
        answer = await api.client.request(method, filled(path), headers=headers)
        if wanted is Access.CRON:
            assert answer.status_code in (200, 202), path
        elif wanted not in (Access.OPEN, Access.SIGNATURE, Access.LINK):
            assert answer.status_code == 401, path


async def test_only_these_are_open_to_all(settings: Settings) -> None:
    """A new open route has to be meant."""
    opened = {path for _, path, wanted in routes(settings) if wanted is Access.OPEN}
    assert opened == {
        "/",
        "/.well-known/tallybook-seal-keys",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/schema",
        "/schema/openapi.json",
        "/schema/scalar-1.46.4.js",
        "/assets/{name:str}",
        "/zone",
    }
    signed = {path for _, path, wanted in routes(settings) if wanted is Access.SIGNATURE}
    assert signed == {"/api/webhooks/stripe"}


@pytest.mark.parametrize("stated", [{}, {"opt": {"access": "open"}}, {"opt": {"access": None}}])
def test_a_route_that_declares_no_access_stops_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, stated: dict[str, Any]
) -> None:
    @get("/forgotten", **stated)
    async def forgotten() -> str:
        return "anybody"

    monkeypatch.setattr(asgi, "ROUTES", [*asgi.ROUTES, forgotten])
    with pytest.raises(ConfigurationError, match="declare no access: GET /forgotten"):
        asgi.create_app(settings)


def test_a_route_that_declares_it_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @get("/remembered", **access(Access.OPERATOR))
    async def remembered() -> str:
        return "operators"

    monkeypatch.setattr(asgi, "ROUTES", [*asgi.ROUTES, remembered])
    assert asgi.create_app(settings)


async def test_without_a_cron_secret_nobody_is_let_in(
    settings: Settings, database: Database
) -> None:
    async with serving(msgspec.structs.replace(settings, cron_secret=None)) as client:
        for bearer in ("", "None", "null"):
            headers = {"Authorization": f"Bearer {bearer}"}
            answer = await client.get("/api/cron/reset-credits", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = asgi.create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://t") as client,
    ):
        yield client


async def test_the_clock_cannot_be_moved_where_it_is_not_settable(
    settings: Settings, database: Database, api: Api
) -> None:
    async with serving(msgspec.structs.replace(settings, clock_settable=False)) as client:
        answer = await client.put(
            "/api/v1/dev/clock",
            json={"now": "2030-01-01T00:00:00Z"},
            headers=api.headers("operator"),
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"urn:tallybook:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    assert isinstance(problem["retryable"], bool)
    return True


async def test_each_refusal_is_a_problem_with_a_stable_code(api: Api, book: Book) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    await put(book, "user-2", "cus_2", None, "tests")
    one = "/api/v1/accounts/user-1"
    key = api.headers("service", **{"Idempotency-Key": "k"})
    post, client = api.client.post, api.client

    assert is_problem(await client.put(one, json={"x": 1}, headers=key), 400, "invalid_request")
    assert is_problem(await client.get(one), 401, "unauthenticated")
    broke = await post(f"{one}/spends", json={"amount": 6}, headers=key)
    assert is_problem(broke, 402, "insufficient_credits")
    assert (broke.json()["available"], broke.json()["required"]) == (5, 6)
    assert broke.json()["next_grant_at"] == "2026-01-02T00:00:00.000000Z"
    assert is_problem(await api.get("/api/v1/ledger/entries", "service"), 403, "forbidden")
    assert is_problem(await api.get("/api/v1/accounts/nobody"), 404, "account_unknown")
    assert is_problem(await client.get("/api/v1/nothing"), 404, "not_found")
    assert is_problem(await client.delete(one, headers=key), 405, "method_not_allowed")
    taken = await api.put(one, {"stripe_customer_id": "cus_2"})
    assert is_problem(taken, 409, "customer_taken")
    large = await client.put(one, content=b" " * 262_145, headers=key)
    assert is_problem(large, 413, "body_too_large")
    assert is_problem(await api.put(one, {"time_zone": "Mars/Base"}), 422, "unknown_zone")
    assert (await post(f"{one}/spends", json={"amount": 1}, headers=key)).status_code == 201
    reused = await post(f"{one}/spends", json={"amount": 2}, headers=key)
    assert is_problem(reused, 422, "idempotency_key_reused")


async def test_a_refusal_for_want_of_a_key_says_which_kind_is_wanted(api: Api) -> None:
    for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer"}):
        answer = await api.client.get("/api/v1/accounts/user-1", headers=headers)
        assert is_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_refused_method_and_options_name_those_that_there_are(api: Api) -> None:
    one = "/api/v1/accounts/user-1"
    allowed = {"GET", "OPTIONS", "PUT"}
    refused = await api.client.delete(one)
    assert set(refused.headers["allow"].split(", ")) == allowed
    options = await api.client.options(one)
    assert options.status_code == 204
    assert set(options.headers["allow"].split(", ")) == allowed


async def test_health_tells_what_is_missing(
    api: Api, settings: Settings, server: Any, database: Database
) -> None:
    assert (await api.client.get("/health/live")).json() == {"status": "live"}
    assert (await api.client.get("/health/ready")).json()["status"] == "ready"
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute("DELETE FROM migration")
    await owner.close()
    answer = await api.client.get("/health/ready")
    assert is_problem(answer, 503, "busy")
    assert "tallybook migrate" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "1"


async def test_every_answer_keeps_to_itself(api: Api) -> None:
    for path in ("/health/live", "/api/v1/accounts/user-1", "/nothing", "/schema"):
        headers = (await api.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cache-control"] == "no-store", path
        assert headers["x-request-id"], path


async def test_every_operation_is_described_with_its_errors(api: Api, settings: Settings) -> None:
    schema = (await api.client.get("/schema/openapi.json")).json()
    described = {
        (method.upper(), path) for path, item in schema["paths"].items() for method in item
    }
    served = {
        (method, re.sub(r":\w+\}", "}", path))
        for method, path, _ in routes(settings)
        if path != "/" and not path.startswith(FOR_PEOPLE)
    }
    assert described == served
    for path, item in schema["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
