"""Two worker processes of one server tell one truth, also after one of them was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.embedded.ports import free_port
from app.infrastructure.settings import Settings
from tests.conftest import Server
from tests.metrics_text import value
from tests.processes import family, kill

WORKERS = 2
SECONDS_MAX = 60.0
REQUESTS = "tallybook_http_requests_total"
POOL = "tallybook_pool_connections"
LIVE = {"route": "/health/live", "method": "GET", "status": "200"}


@contextmanager
def serving(server: Server, settings: Settings, folder: Path) -> Iterator[tuple[int, int]]:
    """(port, process group) of a `tallybook serve` with two workers."""
    port = free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        "DATABASE_URL": server.application_url,
        "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secrets[0],
        "TALLYBOOK_KEY_PEPPER": settings.key_pepper,
        "TMPDIR": str(folder),
    }
    tallybook = Path(sys.executable).with_name("tallybook")
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [tallybook, "serve", "--port", str(port), "--workers", str(WORKERS)],
            env=environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        answered(port, "/health/live")
        yield port, process.pid
        process.terminate()
        process.wait(SECONDS_MAX)
        assert not list(folder.glob("tallybook-counts-*")), "the folder goes with the server"
    finally:
        kill(family(process.pid))
        process.wait()


def answered(port: int, path: str) -> httpx.Response:
    """An answer over a connection of its own, so that any worker may give it."""
    ends_at = time.monotonic() + SECONDS_MAX
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10)
        except httpx.TransportError:
            assert time.monotonic() < ends_at
            time.sleep(0.1)


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    ends_at = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < ends_at
        time.sleep(0.2)


def counting(folder: Path) -> set[int]:
    """Which processes have counted a request, by their files."""
    return {int(path.stem.rpartition("_")[2]) for path in folder.glob("*/counter_*.db")}


@pytest.mark.timeout(240)
def test_workers_count_together_and_the_dead_keep_what_they_counted(
    server: Server, settings: Settings, folder: Path
) -> None:
    with serving(server, settings, folder) as (port, _):
        both = 16 * WORKERS
        until(lambda: value(answered(port, "/metrics"), POOL, state="max") == both)
        asked = int(value(answered(port, "/metrics"), REQUESTS, **LIVE) or 0)
        for _ in range(60):
            answered(port, "/health/live")
        for _ in range(10):  # whoever answers, the number is the same
            assert value(answered(port, "/metrics"), REQUESTS, **LIVE) == asked + 60
        dead = min(counting(folder))
        os.kill(dead, signal.SIGKILL)
        # Granian starts another in its place.
        until(lambda: len(counting(folder)) > WORKERS)
        until(lambda: value(answered(port, "/metrics"), POOL, state="max") == both)
        assert value(answered(port, "/metrics"), REQUESTS, **LIVE) == asked + 60
