"""Where traces are asked for there is a span for each request and transaction; else nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.accounts.put import put
from app.book import Book
from app.infrastructure import settings, traces
from tests.api_client import Api
from tests.contract.test_settings import GOOD

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider.get_tracer("tests"))
    yield exporter
    traces.use(None)
    provider.shutdown()


async def test_a_request_and_its_transactions_are_one_trace_of_the_callers(
    api: Api, book: Book, spans: InMemorySpanExporter
) -> None:
    await put(book, "jane@example.com", None, None, "tests")
    spans.clear()
    answer = await api.client.post(
        "/api/v1/accounts/jane@example.com/holds",
        json={"amount": 1},
        headers=api.headers(
            "service", **{"Idempotency-Key": "k", "traceparent": f"00-{CALLER}-{'b7' * 8}-01"}
        ),
    )
    assert answer.status_code == 201
    finished = spans.get_finished_spans()
    (request,) = (one for one in finished if one.name != "transaction")
    transactions = [one for one in finished if one.name == "transaction"]
    assert request.name == "POST /api/v1/accounts/{account_id}/holds"
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 201
    assert request.attributes["request_id"] == answer.headers["x-request-id"]
    assert f"{request.context.trace_id:032x}" == CALLER
    assert transactions
    assert all(one.parent and one.parent.span_id == request.context.span_id for one in transactions)
    assert "jane" not in str([one.to_json() for one in finished])


async def test_a_transaction_that_failed_says_what_kind_of_error_it_was(
    book: Book, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(LookupError):
        await _failing(book)
    (span,) = spans.get_finished_spans()
    assert span.attributes == {"error.type": "LookupError"}


async def _failing(book: Book) -> None:
    async with book.database.transaction():
        raise LookupError("of jane@example.com")


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    program = (
        "import sys, app.asgi, app.worker;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_it_is_asked_for_by_our_setting_or_by_its_own() -> None:
    assert not settings.load(GOOD).traced
    assert settings.load(GOOD | {"TALLYBOOK_OTEL": "true"}).traced
    assert settings.load(GOOD | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}).traced
