"""A real Redis of a test's own, that can be killed, stopped in its tracks and started again."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis

from app.embedded.ports import free_port
from app.embedded.redis import EmbeddedRedis, find_server


class RunningRedis:
    """A server that can be killed, stopped in its tracks and started again."""

    def __init__(self, folder: Path) -> None:
        server = find_server()
        assert server is not None, "no valkey-server: run `make install`"
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
