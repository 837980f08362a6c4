"""What /metrics tells is what happened, whichever process was asked, and whether or not it can."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.accounts.put import put
from app.audit.gauges import GAUGES, QUERY
from app.book import Book
from app.infrastructure.db import Database
from app.usage.fold import fold
from app.verify.verify import Check, store_verdict
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import NOW, Server
from tests.metrics_text import samples, value
from tests.stripe_events import make_subscription_event

# The names that alert rules and dashboards are written to.
OF_THE_DATABASE = {
    "tallybook_database_up",
    "tallybook_events_queued",
    "tallybook_events_queued_oldest_seconds",
    "tallybook_events_parked",
    "tallybook_run_expected",
    "tallybook_run_issued",
    "tallybook_run_failed",
    "tallybook_run_not_opened",
    "tallybook_run_age_seconds",
    "tallybook_runs_overdue_seconds",
    "tallybook_holds_overdue",
    "tallybook_seal_due_seconds",
    "tallybook_webhook_messages_pending",
    "tallybook_webhook_messages_dead",
    "tallybook_webhook_messages_overdue_seconds",
    "tallybook_webhook_endpoints_failing_seconds",
    "tallybook_webhook_endpoints_disabled",
    "tallybook_verify_differences",
    "tallybook_verify_age_seconds",
    "tallybook_transitions_total",
}
OF_THE_PROCESS = {
    "tallybook_http_requests_total",
    "tallybook_http_seconds_count",
    "tallybook_webhooks_total",
    "tallybook_webhook_seconds_count",
    "tallybook_webhook_signature_failures_total",
    "tallybook_spend_seconds_count",
    "tallybook_rate_limited_total",
    "tallybook_rate_limit_errors_total",
    "tallybook_pool_connections",
}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scrape looks anew."""
    monkeypatch.setattr("app.audit.gauges.CACHE_SECONDS", 0.0)


async def scrape(api: Api) -> httpx.Response:
    return await api.client.get("/metrics")


async def test_every_name_is_there_once_things_happened(
    api: Api, database: Database, fresh: None
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.spend("user-1", 1, "k")
    await api.set_clock(NOW + timedelta(days=1))
    await store_verdict(database, [Check("one", 3, ["a", "b"])])
    await fold(database, Book(database).catalogues, 30)
    answer = await scrape(api)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {name for name, _ in samples(answer)}
    assert names >= OF_THE_DATABASE | OF_THE_PROCESS, OF_THE_DATABASE | OF_THE_PROCESS - names
    assert {f"tallybook_{name}" for name in GAUGES} < OF_THE_DATABASE
    assert value(answer, "tallybook_run_expected") == 1
    assert value(answer, "tallybook_run_issued") == 1
    assert value(answer, "tallybook_run_age_seconds") == pytest.approx(43_200)
    assert value(answer, "tallybook_verify_differences") == 2
    flows = [("granted", "FREE"), ("spent", "FREE"), ("expired", "FREE"), ("granted", "PRO")]
    told = [value(answer, "tallybook_credits_total", flow=f, tier=tier) for f, tier in flows]
    assert told == [20, 1, 19, 20], "each day counts for the tier with which it was opened"
    moved = {"from": "", "to": "active"}
    assert value(answer, "tallybook_transitions_total", **moved) == 1
    assert value(answer, "tallybook_spend_seconds_count") == 1
    assert value(answer, "tallybook_pool_connections", state="max") == 16


async def test_deliveries_are_counted_by_type_and_verdict_and_strange_types_together(
    api: Api, fresh: None
) -> None:
    event = make_subscription_event("evt_1", "created", NOW)
    assert [await api.deliver(event) for _ in range(3)] == ["applied", "duplicate", "duplicate"]
    for number in range(3):
        strange = {**event, "id": f"evt_strange_{number}", "type": f"invented.{number}"}
        assert await api.deliver(strange) == "ignored"
    refused = await api.client.post(
        "/api/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": "t=1,v1=00"}
    )
    assert refused.status_code == 400
    answer = await scrape(api)
    counted = {
        (dict(labels)["type"], dict(labels)["verdict"]): number
        for (name, labels), number in samples(answer).items()
        if name == "tallybook_webhooks_total"
    }
    assert counted == {
        ("customer.subscription.created", "applied"): 1,
        ("customer.subscription.created", "duplicate"): 2,
        ("other", "ignored"): 3,
    }
    assert value(answer, "tallybook_webhook_signature_failures_total") == 1
    assert value(answer, "tallybook_webhook_seconds_count") == 6


async def test_requests_are_counted_by_template_and_never_by_path(
    api: Api, book: Book, fresh: None
) -> None:
    await put(book, "jane@example.com", None, None, "tests")
    for path in ("/api/v1/accounts/jane@example.com", "/nothing/jane@example.com"):
        await api.get(path)
    await api.client.request("BREW", "/api/v1/accounts/jane@example.com")
    answer = await scrape(api)
    route = "/api/v1/accounts/{account_id}"
    told = {"route": route, "method": "GET", "status": "200"}
    assert value(answer, "tallybook_http_requests_total", **told) == 1
    assert value(answer, "tallybook_http_seconds_count", route=route) == 1
    assert "jane" not in answer.text
    assert "BREW" not in answer.text


async def test_queued_and_parked_events_and_late_work_show(
    api: Api, database: Database, server: Server, fresh: None
) -> None:
    before = await scrape(api)
    assert value(before, "tallybook_runs_overdue_seconds") == 0
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    held = await Acts(api).post("accounts/user-1/holds", {"amount": 2, "expires_in_s": 60})
    assert held.status_code == 201
    parked = make_subscription_event("evt_1", "created", NOW, price="price_nobody_knows")
    assert await api.deliver(parked) == "parked"
    queued = make_subscription_event("evt_2", "updated", NOW)
    await api.deliver(queued)
    await database.execute(
        "UPDATE events SET verdict = 'queued', next_attempt_at = $1 WHERE id = 'evt_2'",
        NOW + timedelta(days=9),
    )
    await api.set_clock(NOW + timedelta(hours=13), tick=False)
    answer = await scrape(api)
    assert value(answer, "tallybook_events_parked") == 1
    assert value(answer, "tallybook_events_queued") == 1
    assert value(answer, "tallybook_events_queued_oldest_seconds") == pytest.approx(46_800)
    assert value(answer, "tallybook_holds_overdue") == 1
    assert value(answer, "tallybook_runs_overdue_seconds") == pytest.approx(46_800 - 60)


async def test_what_use_opened_before_the_run_is_not_expected_of_it(
    api: Api, book: Book, fresh: None
) -> None:
    for number in (1, 2, 3):
        await put(book, f"user-{number}", f"cus_{number}", None, "tests")
    await api.set_clock(NOW + timedelta(hours=12), tick=False)
    assert (await api.spend("user-1", 1, "k")).status_code == 201
    await api.set_clock(NOW + timedelta(hours=13))
    answer = await scrape(api)
    assert value(answer, "tallybook_run_expected") == 2
    assert value(answer, "tallybook_run_issued") == 2
    assert value(answer, "tallybook_run_failed") == 0


async def test_a_scrape_is_answered_from_memory_for_some_seconds(
    api: Api, database: Database
) -> None:
    first = await scrape(api)
    await store_verdict(database, [Check("one", 3, ["a"])])
    second = await scrape(api)
    assert value(first, "tallybook_verify_differences") is None
    assert value(second, "tallybook_verify_differences") is None


async def test_without_a_database_it_answers_that_there_is_none(
    api: Api, server: Server, fresh: None
) -> None:
    assert value(await scrape(api), "tallybook_database_up") == 1
    owner = await asyncpg.connect(server.superuser_url.replace(server.name, "postgres"))
    await owner.execute(f"ALTER DATABASE {server.name} ALLOW_CONNECTIONS false")
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    await owner.fetch(ending, server.name)
    try:
        answer = await scrape(api)
        names = {name for name, _ in samples(answer)}
        assert value(answer, "tallybook_database_up") == 0
        assert names & OF_THE_DATABASE == {"tallybook_database_up"}
        assert "tallybook_http_requests_total" in names
    finally:
        await owner.execute(f"ALTER DATABASE {server.name} ALLOW_CONNECTIONS true")
        await owner.close()
    assert value(await scrape(api), "tallybook_database_up") == 1


async def test_the_gauges_ask_indexes(database: Database) -> None:
    """No table that grows for ever is read whole, but for the transitions' count."""
    async with database.transaction():
        await database.execute("SET LOCAL enable_seqscan = off")
        rows = await database.fetch(f"EXPLAIN {QUERY}")
    plan = "\n".join(row[0] for row in rows)
    scanned: list[Any] = [line for line in plan.splitlines() if "Seq Scan on" in line]
    assert all("runs" in line or "dev_clock" in line for line in scanned), plan
