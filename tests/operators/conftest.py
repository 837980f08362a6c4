"""A keyring on the test's database, and the clock that its cache is told by."""

from __future__ import annotations

import pytest

from app.infrastructure.db import Database
from app.operators.keys import Keyring

PEPPER = "pepper-of-the-tests-000"


class Stopwatch:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def keyring(database: Database, watch: Stopwatch) -> Keyring:
    return Keyring(database, PEPPER, watch)
