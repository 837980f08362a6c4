"""The client against a real server: keys, retries, holds, lists, prices, webhooks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from tallybook_client import (
    AccountUnknownError,
    AsyncClient,
    Client,
    ForbiddenError,
    HoldExpiredError,
    InsufficientCreditsError,
    InvalidWebhookError,
    KeyReusedError,
    NoAnswerError,
    PricedRoutes,
    ProblemError,
    UnauthenticatedError,
    priced,
    verify_webhook,
)

from app.infrastructure.db import Database
from app.operators.keys import Scope
from tests.api_client import Api
from tests.as_owner import make_key
from tests.conftest import Server, open_database
from tests.served_book import served

PEPPER = "pepper-of-the-tests-000"
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0wMDAw"


@pytest.fixture
async def going(server: Server) -> AsyncIterator[Database]:
    """The test's database, whose clock goes: deadlines pass while a test waits."""
    async with open_database(server.application_url) as opened:
        yield opened


@asynccontextmanager
async def over_asgi(api: Api, **options: Any) -> AsyncIterator[AsyncClient]:
    """A client of the service without a socket, with the service's key."""
    transport = api.client._transport
    client = AsyncClient(
        "http://tallybook.test", api.tokens["service"], transport=transport, **options
    )
    yield client


@asynccontextmanager
async def on_a_socket(server: Server, going: Database) -> AsyncIterator[tuple[str, str]]:
    """The address of a real server, and a service key."""
    key = await make_key(going, PEPPER, "client", [Scope.SERVICE])
    settings = {
        "DATABASE_URL": server.application_url,
        "STRIPE_WEBHOOK_SECRET": "whsec_first_of_the_tests",
        "CRON_SECRET": "cron-secret-of-the-tests",
        "TALLYBOOK_KEY_PEPPER": PEPPER,
    }
    async with served(settings) as base:
        yield base, key


@asynccontextmanager
async def cutting(base: str, cuts: int) -> AsyncIterator[tuple[str, list[int]]]:
    """A proxy that cuts the first answers after 20 bytes; its address, and what it has seen."""
    seen: list[int] = []
    host, _, port = base.removeprefix("http://").partition(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = await asyncio.open_connection(host, int(port))

        async def forth() -> None:
            while data := await reader.read(65536):
                outward.write(data)

        forward = asyncio.create_task(forth())
        try:
            while data := await inward.read(65536):
                seen.append(len(data))
                cut = len(seen) <= cuts
                writer.write(data[:20] if cut else data)
                await writer.drain()
                if cut:
                    break
        finally:
            forward.cancel()
            outward.close()
            writer.close()

    proxy = await asyncio.start_server(carry, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", seen
    proxy.close()


async def spent(database: Database) -> int:
    found = await database.fetchval(
        "SELECT coalesce(sum(amount), 0)::int FROM entries WHERE kind = 'spend'"
    )
    return int(found)


async def test_an_answer_cut_in_the_middle_is_asked_for_again_and_spent_once(
    server: Server, going: Database
) -> None:
    async with on_a_socket(server, going) as (base, key):
        async with AsyncClient(base, key) as direct:
            await direct.put_account("ada")
        async with cutting(base, cuts=2) as (proxy, seen), AsyncClient(proxy, key) as client:
            done = await client.spend("ada", 2)
            assert done.available == 3
            assert len(seen) == 3, "two answers were cut, the third came whole"
    assert await spent(going) == 2


async def test_the_plain_client_spends_holds_and_extends_in_a_thread(
    server: Server, going: Database
) -> None:
    def live(base: str, key: str) -> None:
        with Client(base, key) as client:
            assert client.put_account("ada", time_zone="Europe/Berlin").available == 5
            with client.hold("ada", 3, expires_in_s=1) as hold:
                time.sleep(2.2)
                assert hold.capture(2).captured == 2
            with pytest.raises(ValueError, match="broken"), client.hold("ada", 3):
                raise ValueError("broken")
            assert client.account("ada").available == 3
            assert [one.state for one in client.holds("ada", state="released")] == ["released"]

    async with on_a_socket(server, going) as (base, key):
        await asyncio.to_thread(live, base, key)
    assert await spent(going) == 2


async def test_when_no_answer_comes_the_key_is_told(server: Server, going: Database) -> None:
    async with on_a_socket(server, going) as (base, key):
        async with AsyncClient(base, key) as direct:
            await direct.put_account("ada")
        async with (
            cutting(base, cuts=9) as (proxy, _),
            AsyncClient(proxy, key, attempts_max=2) as client,
        ):
            with pytest.raises(NoAnswerError) as failed:
                await client.spend("ada", 2)
        assert failed.value.key
        async with AsyncClient(base, key) as direct:
            await direct.spend("ada", 2, idempotency_key=failed.value.key)
    assert await spent(going) == 2


async def test_a_hold_outlives_its_first_deadline(server: Server, going: Database) -> None:
    async with (
        on_a_socket(server, going) as (base, key),
        AsyncClient(base, key) as client,
    ):
        await client.put_account("ada")
        async with client.hold("ada", 4, expires_in_s=1, label="a/b", member="eve") as hold:
            first = (await client.get_hold(hold.id)).expires_at
            await asyncio.sleep(2.2)
            assert (await client.get_hold(hold.id)).expires_at > first
            part = await hold.capture(1, final=False)
            assert part.state == "held"
            done = await hold.capture(2)
        assert (done.state, done.captured, done.available) == ("captured", 3, 2)


async def test_a_hold_that_nobody_extends_has_ended(server: Server, going: Database) -> None:
    async with (
        on_a_socket(server, going) as (base, key),
        AsyncClient(base, key) as client,
    ):
        await client.put_account("ada")
        placed = await client.place_hold("ada", {"amount": 4, "expires_in_s": 1})
        await asyncio.sleep(1.2)
        with pytest.raises(HoldExpiredError):
            await client.capture_hold(placed.id, 1)
        done = await client.capture_hold(placed.id, 9, over="available")
        assert (done.amount, done.uncovered, done.available) == (4, 4, 0)


async def test_what_is_not_captured_is_released_after_an_error_and_without(api: Api) -> None:
    async with over_asgi(api) as client:
        await client.put_account("ada")
        with pytest.raises(ValueError, match="broken"):
            async with client.hold("ada", 4) as hold:
                raise ValueError("broken")
        assert (await client.get_hold(hold.id)).state == "released"
        async with client.hold("ada", 4):
            assert (await client.account("ada")).available == 1
        assert (await client.account("ada")).available == 5


async def test_refusals_are_errors_by_their_code(api: Api) -> None:
    async with over_asgi(api) as client:
        await client.put_account("ada")
        with pytest.raises(InsufficientCreditsError) as poor:
            await client.spend("ada", 6)
        assert (poor.value.available, poor.value.required) == (5, 6)
        assert poor.value.next_grant_at == datetime(2026, 1, 2, tzinfo=UTC)
        with pytest.raises(AccountUnknownError):
            await client.account("nobody")
        await client.spend("ada", 1, idempotency_key="one")
        assert (await client.spend("ada", 1, idempotency_key="one")).available == 4
        with pytest.raises(KeyReusedError):
            await client.spend("ada", 2, idempotency_key="one")
        with pytest.raises(ForbiddenError):
            [entry async for entry in client.entries()]
        assert (await client.balance("ada")).balance == 4
    transport = api.client._transport
    with pytest.raises(UnauthenticatedError):
        await AsyncClient("http://tallybook.test", "tb_no", transport=transport).account("ada")


async def test_lists_are_followed_over_their_pages(api: Api) -> None:
    async with over_asgi(api) as client:
        await client.put_account("ada")
        for number in range(3):
            await client.spend("ada", 1, reason=f"{number}", label="x")
        await client.put_account("eve")
        assert {one.id async for one in client.accounts(limit=1)} == {"ada", "eve"}
        read = await client.balances(["ada", "eve", "nobody"])
        assert {one.account_id: one.available for one in read.data} == {"ada": 2, "eve": 5}
        assert read.unknown == ["nobody"]
    transport = api.client._transport
    auditor = AsyncClient("http://tallybook.test", api.tokens["auditor"], transport=transport)
    found = [one async for one in auditor.entries(account_id="ada", kind="spend", limit=2)]
    assert [(one.reason, one.label) for one in found] == [("0", "x"), ("1", "x"), ("2", "x")]
    assert [one async for one in auditor.alerts(account_id="eve", limit=1)] == []


async def test_a_batch_has_a_result_for_each_and_a_return_gives_back(api: Api) -> None:
    async with over_asgi(api) as client:
        await client.put_account("ada")
        results = await client.spend_batch(
            [
                {"account_id": "ada", "amount": 4, "idempotency_key": "b1"},
                {"account_id": "ada", "amount": 4},
                {"account_id": "nobody", "amount": 1},
            ]
        )
        assert [one.status for one in results] == [201, 402, 404]
        assert results[1].problem is not None
        assert results[1].problem.available == 1
        back = await client.return_credits("ada", of_idempotency_key="b1", amount=3)
        assert (back.returned, back.available) == (3, 4)


def answers(*given: httpx.Response) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return given[len(asked) - 1]

    return httpx.MockTransport(answer), asked


async def test_a_retryable_problem_is_waited_for_as_long_as_it_says() -> None:
    busy = {"code": "busy", "retryable": True, "detail": "", "status": 503}
    done = {"id": "s", "account_id": "a", "amount": 1, "balance": 1, "available": 1, "entries": []}
    transport, asked = answers(
        httpx.Response(503, json=busy, headers={"Retry-After": "1"}),
        httpx.Response(502, text="a proxy's page"),
        httpx.Response(201, json=done),
    )
    began = time.monotonic()
    await AsyncClient("http://a", "tb_k", transport=transport).spend("a", 1)
    assert time.monotonic() - began >= 1
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert len(asked) == 3


async def test_what_may_not_be_retried_is_asked_once_and_the_rest_not_without_end() -> None:
    final = {"code": "conflict", "retryable": False, "detail": ""}
    transport, asked = answers(httpx.Response(409, json=final))
    with pytest.raises(ProblemError, match="conflict"):
        await AsyncClient("http://a", "tb_k", transport=transport).spend("a", 1)
    assert len(asked) == 1
    busy = [httpx.Response(503, json={"code": "busy", "retryable": True}) for _ in range(2)]
    transport, asked = answers(*busy)
    with pytest.raises(ProblemError, match="busy"):
        await AsyncClient("http://a", "tb_k", transport=transport, attempts_max=2).spend("a", 1)
    assert len(asked) == 2


async def test_a_priced_function_is_paid_when_it_succeeds(api: Api) -> None:
    async with over_asgi(api) as client:
        await client.put_account("ada")

        @priced(client, 3, account=lambda user, *_: user, label="render")
        async def render(user: str, divisor: int) -> float:
            return 6 / divisor

        with pytest.raises(ZeroDivisionError):
            await render("ada", 0)
        assert await render("ada", 2) == 3
        with pytest.raises(InsufficientCreditsError):
            await render("ada", 1)
        assert (await client.account("ada")).available == 2
        with pytest.raises(TypeError):
            priced(client, 3, account=lambda: "ada")(lambda: 1)


async def test_a_priced_route_is_paid_below_400_and_answers_402_without_credits(api: Api) -> None:
    called: list[str] = []

    async def shop(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["path"])
        status = 500 if b"fail" in scope["query_string"] else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async with over_asgi(api) as client:
        await client.put_account("ada")
        app = PricedRoutes(shop, client, {"POST /render": 3}, account=lambda scope: "ada")
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as caller:
            assert (await caller.post("/render?fail")).status_code == 500
            assert (await client.account("ada")).available == 5
            assert (await caller.post("/render")).text == "done"
            assert (await client.account("ada")).available == 2
            refused = await caller.post("/render")
            assert refused.status_code == 402
            assert refused.json()["code"] == "insufficient_credits"
            assert (await caller.get("/render")).status_code == 200, "another method is free"
    assert len(called) == 3, "the refused call did not reach the application"


def test_a_webhook_is_read_if_one_of_the_secrets_signed_it() -> None:
    body = json.dumps({"type": "balance.low", "data": {}})
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "m1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("m1", now, body),
    }
    other = "whsec_" + "YW5vdGhlci1zZWNyZXQtb2YtdGhlLXRlc3Rz"
    assert verify_webhook(body.encode(), headers, other, SECRET)["type"] == "balance.low"
    with pytest.raises(InvalidWebhookError):
        verify_webhook(body.encode() + b" ", headers, SECRET)
    with pytest.raises(InvalidWebhookError):
        verify_webhook(body.encode(), headers, other)
