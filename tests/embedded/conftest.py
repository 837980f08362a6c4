"""Passwords and a guard for the servers that these tests start."""

from collections.abc import Iterator

import pytest

from app.embedded.postgres import Passwords
from app.embedded.program import Guard


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)


@pytest.fixture
def watcher() -> Iterator[Guard]:
    with Guard("test") as guard:
        yield guard
