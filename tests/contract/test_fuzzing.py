"""The OpenAPI description is true: schemathesis calls every route with every kind of key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.python.asgi import shutdown_lifespans

from app.accounts.put import put
from app.asgi import create_app
from app.book import Book
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators.keys import Scope
from ops.fuzzing import configuration, run
from tests.as_owner import make_key

# Of each operation and phase: most where most is allowed, the others are mostly told 401 or 403.
EXAMPLES_MAX = {"operator": 10, "service": 4, "auditor": 6, "cron": 4}
# The boundary values of every parameter are tried once, by who may reach behind every door.
WITH_COVERAGE = {"operator"}
CALLS_MIN = 100  # fewer would mean that a phase was skipped


@pytest.fixture
async def bearers(database: Database, settings: Settings, book: Book) -> dict[str, str]:
    """A token for each kind of caller, and an account for them to find."""
    await put(book, "user-1", "cus_1", None, "tests")
    made = {
        str(scope): await make_key(database, settings.key_pepper, scope, [scope]) for scope in Scope
    }
    assert settings.cron_secret
    return {**made, "cron": settings.cron_secret}


@pytest.fixture
def app(settings: Settings) -> Iterator[Any]:
    yield create_app(settings)
    shutdown_lifespans()  # schemathesis keeps the application's lifespan in a thread of its own


@pytest.mark.parametrize("caller", ["service", "auditor", "operator", "cron"])
def test_every_answer_is_the_one_described(app: Any, bearers: dict[str, str], caller: str) -> None:
    config = configuration(bearers[caller], EXAMPLES_MAX[caller], coverage=caller in WITH_COVERAGE)
    schema = schemathesis.openapi.from_asgi("/schema/openapi.json", app, config=config)
    outcome = run(schema)
    assert not outcome.failures, "\n\n".join(outcome.failures)
    assert outcome.calls > CALLS_MIN
