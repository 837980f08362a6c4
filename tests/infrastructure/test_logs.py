"""Each request, webhook, transition and run is one line; JSON in production, and without locals."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from app.infrastructure import logs
from app.infrastructure.settings import Settings
from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event


@pytest.fixture
def production(settings: Settings) -> Iterator[Settings]:
    """To be configured inside the test: pytest changes standard error between set-up and call."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield msgspec.structs.replace(settings, environment="production")
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def fail(secret: str) -> None:
    raise LookupError(f"could not: {len(secret)}\nDETAIL:  Key (id)=(jane@example.com) exists.")


def test_a_traceback_tells_neither_locals_nor_rows(
    production: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(production)
    try:
        fail("planted-in-a-local")
    except LookupError:
        structlog.get_logger("fresh").exception("failed")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "failed"
    assert line["exception"][0]["exc_value"] == "could not: 18"
    assert line["exception"][0]["frames"]
    assert "planted" not in str(line)
    assert "jane" not in str(line)


def test_what_libraries_log_is_json_too(
    production: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(production)
    logging.getLogger("a.library").warning("something of %s", "theirs")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("something of theirs", "warning")


def test_a_frequent_line_is_what_other_lines_are(
    production: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"method": "GET", "route": "/health", "status": 200, "duration_ms": 1.5, "key_id": None}
    logs.configure(production)
    structlog.contextvars.bind_contextvars(request_id="r", journal_id="jrn_1")
    try:
        structlog.get_logger("fresh").info("request", **facts)
        logs.frequent("request", **facts)
    finally:
        structlog.contextvars.clear_contextvars()
    long, short = map(json.loads, capsys.readouterr().err.splitlines())
    assert {**short, "timestamp": long["timestamp"]} == long
    assert len(short["timestamp"]) == len(long["timestamp"])
    logs.configure(msgspec.structs.replace(production, log_level="WARNING"))
    logs.frequent("request", **facts)
    assert capsys.readouterr().err == ""


def test_a_readable_line_in_development(
    settings: Settings, production: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert production.environment != settings.environment
    logs.configure(settings)
    structlog.get_logger("fresh").info("hello", number=1)
    assert "hello" in capsys.readouterr().err


async def test_one_line_for_each_webhook_transition_run_and_request(api: Api) -> None:
    event = make_subscription_event("evt_1", "created", NOW)
    with capture_logs() as lines:
        await api.deliver(event)
        await api.deliver(event)
        await api.set_clock(NOW + timedelta(days=1))
    told = [line["event"] for line in lines]
    assert told == [
        "transition",
        "webhook",
        "request",
        "webhook",
        "request",
        "run",
        "tick",
        "request",
    ]
    transition, webhook = lines[:2]
    assert (transition["from"], transition["to"]) == (None, "active")
    assert transition["event_id"] == webhook["event_id"] == "evt_1"
    assert (webhook["type"], webhook["verdict"]) == ("customer.subscription.created", "applied")
    assert webhook["duration_ms"] > 0
    assert lines[3]["verdict"] == "duplicate"
    assert (lines[5]["expected"], lines[5]["issued"], lines[5]["failed"]) == (1, 1, 0)
    assert "cus_1" not in str(lines), "a customer is a person"


@pytest.mark.parametrize("given", ["a-1", "x" * 64, "0.B_c-D"])
async def test_a_callers_request_id_is_taken_and_told(api: Api, given: str) -> None:
    answer = await api.client.get("/health/live", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", '{"a":1}', "é"])
async def test_another_request_id_is_replaced(api: Api, given: str) -> None:
    answer = await api.client.get(
        "/health/live", headers=[(b"X-Request-Id", given.encode("latin-1"))]
    )
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 16


async def test_answers_keep_browsers_out(api: Api) -> None:
    for path in ("/health/live", "/api/v1/accounts/user-1", "/nothing", "/schema", "/metrics"):
        headers = (await api.client.get(path, headers={"Origin": "https://evil.example"})).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control-")], "no CORS"
    preflight = await api.client.options(
        "/api/v1/accounts/user-1",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"},
    )
    assert not [name for name in preflight.headers if name.startswith("access-control-")]
