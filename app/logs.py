"""Logs: structlog, JSON lines in production, readable in development; never a secret."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog

from app.settings import Settings


def configure(settings: Settings) -> None:
    """Send all logs, structlog's and the standard library's, to standard error."""
    level = logging.getLevelName(settings.log_level)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.environment == "production":
        end: list[Any] = [
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    else:
        end = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, *end],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Chatters at INFO on every transition; the webhook's line and the transition's row tell more.
    logging.getLogger("transitions").setLevel(logging.WARNING)
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, force=True)


def _dumps(value: object, **_: object) -> str:
    return orjson.dumps(value, default=str).decode()
