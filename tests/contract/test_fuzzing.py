"""The OpenAPI description is true: schemathesis calls every route with every kind of key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.python.asgi import shutdown_lifespans

from app import keys
from app.accounts.book import Book
from app.accounts.put import put
from app.asgi import create_app
from app.db import Database
from app.keys import Scope
from app.settings import Settings

# Of each operation and phase: most where most is allowed, the others are mostly told 401 or 403.
EXAMPLES_MAX = {"operator": 10, "service": 4, "auditor": 6, "cron": 4}
# The boundary values of every parameter are tried once, by who may reach behind every door.
WITH_COVERAGE = {"operator"}
CALLS_MIN = 100  # fewer would mean that a phase was skipped
# What a request within the schema may be told: it is refused, and so the description says.
REFUSALS = ["2xx", "401", "402", "403", "404", "409", "422"]


@pytest.fixture
async def bearers(database: Database, settings: Settings, book: Book) -> dict[str, str]:
    """A token for each kind of caller, and an account for them to find."""
    await put(book, "user-1", "cus_1", None, "tests")
    made = {
        str(scope): await keys.create(database, settings.key_pepper, scope, [scope])
        for scope in Scope
    }
    assert settings.cron_secret
    return {**made, "cron": settings.cron_secret}


@pytest.fixture
def app(settings: Settings) -> Iterator[Any]:
    yield create_app(settings)
    shutdown_lifespans()  # schemathesis keeps the application's lifespan in a thread of its own


def configuration(caller: str, bearer: str) -> SchemathesisConfig:
    examples_max = EXAMPLES_MAX[caller]
    return SchemathesisConfig.from_dict(
        {
            "seed": 20260101,
            "headers": {"Authorization": f"Bearer {bearer}"},
            "generation": {"max-examples": examples_max, "database": "none", "allow-x00": False},
            "checks": {"positive_data_acceptance": {"expected-statuses": REFUSALS}},
            "operations": [
                {
                    # No signature can be guessed; tests/contract/test_webhook_door.py signs.
                    "include-path": "/api/webhooks/stripe",
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["400"]}},
                },
                {
                    # Only forward: a clock fuzzed into the next millennium leaves no time.
                    "include-name": "PUT /api/v1/dev/clock",
                    "enabled": False,
                },
            ],
            "phases": {
                "coverage": {"enabled": caller in WITH_COVERAGE},
                "stateful": {"generation": {"max-examples": examples_max}},
            },
        }
    )


def failures(recorder: ScenarioRecorder) -> list[str]:
    """What each failed check was told, with what was asked and answered."""
    told = []
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            response = recorder.interactions[case_id].response
            answered = response and f"{response.status_code} {response.text[:300]}"
            failure, sample = check.failure_info.failure, check.failure_info.code_sample
            told.append(f"{check.name}: {failure}\n{sample[:600]}\n{answered}")
    return told


@pytest.mark.parametrize("caller", ["service", "auditor", "operator", "cron"])
def test_every_answer_is_the_one_described(app: Any, bearers: dict[str, str], caller: str) -> None:
    schema = schemathesis.openapi.from_asgi(
        "/schema/openapi.json", app, config=configuration(caller, bearers[caller])
    )
    told: list[str] = []
    call_count = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            call_count += len(event.recorder.interactions)
            told += failures(event.recorder)
        elif isinstance(event, events.NonFatalError):
            told.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            told.append(f"{event.exception!r}")
    assert not told, "\n\n".join(dict.fromkeys(told))
    assert call_count > CALLS_MIN
