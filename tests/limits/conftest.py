"""A real Redis of the module's own."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from app.embedded.ports import free_port
from app.embedded.redis import EmbeddedRedis, find_server
from app.limiter import Limiter

PATIENT_SECONDS = 10.0  # a noisy machine is no Redis that hangs


class RunningRedis:
    """A server that can be killed, stopped in its tracks and started again."""

    def __init__(self, folder: Path) -> None:
        server = find_server()
        assert server is not None
        self._redis = EmbeddedRedis(server, folder, free_port(), secrets.token_hex(8))
        self.url = self._redis.url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._redis.program().argv, stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url)
        ends_at = time.monotonic() + 30
        while True:
            with suppress(redis.exceptions.RedisError):
                client.ping()
                break
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        client.close()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def running_redis() -> Iterator[RunningRedis]:
    folder = Path(tempfile.mkdtemp(prefix="tb-redis-"))
    server = RunningRedis(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def limiter(running_redis: RunningRedis) -> AsyncIterator[Limiter]:
    opened = Limiter(running_redis.url, within_s=PATIENT_SECONDS)
    await opened.open()
    assert not opened.away
    yield opened
    await opened.close()
