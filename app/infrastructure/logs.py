"""Logs: structlog, JSON lines in production, readable in development; never a secret.

Logs name no person. Accounts appear by the ledger's own number, since the application's ids may be
e-mail addresses. There is no reason, no metadata, no customer. Stripe's events and subscriptions,
and keys, appear by their ids.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from app.infrastructure.settings import Settings

_DETAIL = "\nDETAIL:"
_frequent = structlog.get_logger("tallybook.frequent")


def configure(settings: Settings) -> None:
    """Send all logs, structlog's and the standard library's, to standard error."""
    level = logging.getLevelName(settings.log_level)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.environment == "production":
        # Locals hold keys, secrets and people's texts.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        end: list[Any] = [
            structlog.processors.ExceptionRenderer(tracebacks),
            _without_details,
            _json_of_frequent if level <= logging.INFO else _json,
        ]
    else:
        plain = structlog.dev.plain_traceback
        end = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *end],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_standard_error,
        cache_logger_on_first_use=True,
    )
    # It logs every transition at INFO; the webhook's line and the transition's row say more.
    logging.getLogger("transitions").setLevel(logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def frequent(event: str, **facts: object) -> None:
    """Write the line of a request or a webhook: as structlog would, in a third of its time."""
    # As it is configured now: tests and commands configure it otherwise.
    if structlog.get_config()["processors"][-1] is not _json_of_frequent:
        _frequent.info(event, **facts)
        return
    line = {
        **facts,
        "event": event,
        **structlog.contextvars.get_contextvars(),
        "level": "info",
        "timestamp": f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z",
    }
    sys.stderr.write(f"{_dumps(line)}\n")
    sys.stderr.flush()


def of_command(*, verbose: bool) -> None:
    """Send the logs of commands to standard error: standard output has results, maybe a key.

    Commands print what they did; with ``verbose`` each act is logged as well.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.INFO if verbose else logging.WARNING
        ),
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=_standard_error,
    )


def _standard_error(*_: object) -> structlog.PrintLogger:
    """Return standard error as it is when a logger is first used, not when logging was
    configured.
    """
    return structlog.PrintLogger(sys.stderr)


def _without_details(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Remove PostgreSQL's DETAIL, which quotes the refused row."""
    for part in line.get("exception") or ():
        part["exc_value"] = part["exc_value"].partition(_DETAIL)[0]
    return line


def _dumps(value: object, **_: object) -> str:
    return orjson.dumps(value, default=str).decode()


_json = structlog.processors.JSONRenderer(serializer=_dumps)
_json_of_frequent = structlog.processors.JSONRenderer(serializer=_dumps)
