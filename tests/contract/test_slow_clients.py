"""A client or a statement that takes too long is cut off, says so with a 4xx or a 503, and changes
nothing."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.server import HEADER_TIMEOUT_MS
from app.web.http.body import BODY_SECONDS_MAX
from tests.api_client import Api, open_api
from tests.conftest import Server
from tests.contract.test_routes import is_problem
from tests.infrastructure.test_several_processes import serving
from tests.metrics_text import samples

SPENDS = "/api/v1/accounts/user-1/spends"
WEBHOOK = "/api/webhooks/stripe"
SLACK_S = 30.0  # the machine may be busy; that it ends at all is what matters


async def dripping() -> AsyncIterator[bytes]:
    yield b'{"amount":'
    await asyncio.sleep(SLACK_S)
    yield b" 1}"


async def test_a_body_that_drips_is_refused_and_does_nothing(
    api: Api, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(book, "user-1", None, None, "tests")
    monkeypatch.setattr("app.web.http.body.BODY_SECONDS_MAX", 0.2)
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    spend = await api.client.post(
        SPENDS, content=dripping(), headers=api.headers("service", **headers)
    )
    assert is_problem(spend, 408, "body_too_slow")
    assert "did not arrive" in spend.json()["detail"]
    webhook = await api.client.post("/api/webhooks/stripe", content=dripping(), headers=headers)
    assert is_problem(webhook, 408, "body_too_slow")
    assert await database.fetchval("SELECT count(*) FROM journals WHERE kind = 'spend'") == 0
    assert await database.fetchval("SELECT count(*) FROM events") == 0


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Authorization", "Bearer tb_" + "a" * 60_000, 401),
        ("Authorization", "Bearer " + "é" * 10, 401),
        ("Stripe-Signature", "t=1," + "v1=00," * 5_000, 400),
        ("Stripe-Signature", "t=" + "9" * 5_000 + ",v1=00", 400),
        ("X-Request-Id", "a" * 60_000, None),
        ("X-Forwarded-For", "1.2.3.4," * 5_000, None),
        ("traceparent", "00-" + "f" * 60_000, None),
    ],
)
async def test_a_header_of_any_size_is_no_fault(
    api: Api, name: str, value: str, status: int | None
) -> None:
    path = "/api/webhooks/stripe" if name == "Stripe-Signature" else "/api/v1/accounts/nobody"
    method = "POST" if name == "Stripe-Signature" else "GET"
    header = (name.encode(), value.encode("latin-1"))
    answer = await api.client.request(method, path, headers=[header], content=b"{}")
    assert answer.status_code == (status or 401)


@pytest.mark.parametrize("timeout", ["LOCK_TIMEOUT_MS", "STATEMENT_TIMEOUT_MS"])
async def test_a_statement_that_takes_too_long_is_a_503_that_may_be_tried_again(
    database: Database,
    settings: Settings,
    server: Server,
    book: Book,
    timeout: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put(book, "user-1", None, None, "tests")
    monkeypatch.setattr(f"app.infrastructure.db.{timeout}", 300)
    blocker = await asyncpg.connect(server.owner_url)
    async with open_api(database, settings) as api:
        assert (await api.get("/api/v1/accounts/user-1")).status_code == 200
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK TABLE lots IN ACCESS EXCLUSIVE MODE")
        answer = await api.get("/api/v1/accounts/user-1")
        assert is_problem(answer, 503, "unavailable")
        assert answer.json()["retryable"] is True
        assert answer.headers["retry-after"] == "1"
        await transaction.rollback()
        assert (await api.get("/api/v1/accounts/user-1")).status_code == 200
    await blocker.close()


def closed_after(port: int, sent: bytes) -> tuple[float, bytes]:
    """How long the server kept a connection on which no more came, and what it answered."""
    started, answered = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=SLACK_S) as connection:
        connection.sendall(sent)
        while chunk := connection.recv(65_536):
            answered += chunk
            if b"\r\n\r\n" in answered:
                break
    return time.monotonic() - started, answered


def held_open(port: int, count: int) -> list[socket.socket]:
    """Connections on which nothing was sent, but the preface of HTTP/2 on every tenth."""
    opened = []
    for number in range(count):
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=SLACK_S))
        if number % 10 == 0:
            opened[-1].sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    return opened


@pytest.mark.timeout(240)
def test_silent_connections_keep_nobody_out_and_are_cut_off(
    server: Server, settings: Settings, folder: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    with serving(server, settings, folder) as (port, _):
        # More than granian's 1,024 for each of the two workers.
        silent = held_open(port, 2_300)
        for _ in range(10):
            assert httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=5).status_code == 200
        started = time.monotonic()
        for one in silent:
            one.settimeout(SLACK_S)
            while one.recv(65_536):
                pass
            one.close()
        assert time.monotonic() - started < HEADER_TIMEOUT_MS / 1_000 + SLACK_S
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def statuses(port: int) -> dict[str, float]:
    """How often the webhook was answered with each status."""
    scraped = samples(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10))
    return {
        dict(labels)["status"]: count
        for (name, labels), count in scraped.items()
        if name == "tallybook_http_requests_total" and ("route", WEBHOOK) in labels
    }


BROKEN_OFF = {
    "after three bytes": b"Content-Length: 1000\r\n\r\n{}\n",
    "in a chunk": b"Transfer-Encoding: chunked\r\n\r\n100\r\n{}",
    "by a chunk of negative size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n",
}


@pytest.mark.timeout(240)
def test_a_caller_that_hangs_up_is_no_fault_and_raises_no_alarm(
    server: Server, settings: Settings, folder: Path
) -> None:
    """A server's fault at the webhook pages its operators at once (ops/alerts.yaml)."""
    with serving(server, settings, folder) as (port, _):
        for sent in BROKEN_OFF.values():
            for path in (WEBHOOK.encode(), b"/api/v1/spends/batch"):
                with socket.create_connection(("127.0.0.1", port), timeout=SLACK_S) as one:
                    one.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + sent)
        ends_at = time.monotonic() + SLACK_S
        while (seen := statuses(port)) != {"400": 3} and time.monotonic() < ends_at:
            time.sleep(0.2)
        assert seen == {"400": 3}
        log = (folder / "log").read_text(encoding="utf-8")
        assert "fault" not in log


@pytest.mark.timeout(240)
def test_the_running_server_cuts_slow_clients_off(
    server: Server, settings: Settings, folder: Path
) -> None:
    get = b"GET /health/live HTTP/1.1\r\nHost: a\r\n"
    post = b"POST /api/webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    sent = [get + b"X-Slow: ", post + b"{", get + b"X-Large: " + b"a" * 1_000_000]
    with serving(server, settings, folder) as (port, _), ThreadPoolExecutor() as clients:
        slow_head, slow_body, large_head = clients.map(partial(closed_after, port), sent)
    _, answered = slow_head
    assert not answered.startswith(b"HTTP/1.1 5"), answered
    took, answered = slow_body
    assert answered.startswith(b"HTTP/1.1 408"), answered
    assert took >= BODY_SECONDS_MAX - 1
    _, answered = large_head
    assert not answered.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), answered[:100]
    assert HEADER_TIMEOUT_MS <= 10_000
