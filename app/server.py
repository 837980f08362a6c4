"""Serve the application by granian."""

from __future__ import annotations

from typing import Final

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from app import settings

HEADER_TIMEOUT_MS: Final = 10_000  # a client that sends its headers slowly is cut off
SHUTDOWN_SECONDS_MAX: Final = 10


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT; refuses to start on bad settings with a sentence."""
    settings.load()
    Server(
        "app.asgi:application",
        factory=True,
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        respawn_failed_workers=True,
        workers_kill_timeout=SHUTDOWN_SECONDS_MAX,
        log_access=False,
        websockets=False,
    ).serve()
