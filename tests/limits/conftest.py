"""A limiter on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.infrastructure.limiter import Limiter
from tests.running_redis import RunningRedis

PATIENT_SECONDS = 10.0  # a noisy machine is no Redis that hangs


@pytest.fixture
async def limiter(running_redis: RunningRedis) -> AsyncIterator[Limiter]:
    opened = Limiter(running_redis.url, within_s=PATIENT_SECONDS)
    await opened.open()
    assert not opened.away
    yield opened
    await opened.close()
