"""Whether the OpenAPI description is true: schemathesis in all its phases, by each kind of caller.

The tests run it over ASGI; `make fuzz` runs it for as long as one likes against a `tallybook up`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import schemathesis
from rich.console import Console
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from app.embedded.devbook import DevBook
from ops.soak.book import running

SEED: Final = 20260101
# What a request within the schema may be told: it is refused, and so the description says.
REFUSALS: Final = ["2xx", "401", "402", "403", "404", "409", "422", "429"]
EXAMPLES_OF_A_ROUND: Final = 10
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY: Final = "tb_0000000000_" + "0" * 40


class Outcome(msgspec.Struct):
    """How many calls were made, and what was not as described."""

    calls: int = 0
    failures: list[str] = msgspec.field(default_factory=list)


def configuration(
    bearer: str, examples_max: int, *, seed: int = SEED, coverage: bool = True
) -> SchemathesisConfig:
    """All phases, positive and negative data; ``coverage`` tries each parameter's boundaries."""
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {bearer}"},
            "generation": {"max-examples": examples_max, "database": "none", "allow-x00": False},
            "checks": {"positive_data_acceptance": {"expected-statuses": REFUSALS}},
            "operations": [
                {
                    # No signature can be guessed; tests/contract/test_webhook_door.py signs.
                    "include-path": "/api/webhooks/stripe",
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["400"]}},
                },
                {
                    # Only forward: a clock fuzzed into the next millennium leaves no time.
                    "include-name": "PUT /api/v1/dev/clock",
                    "enabled": False,
                },
            ],
            "phases": {
                "coverage": {"enabled": coverage},
                "stateful": {"generation": {"max-examples": examples_max}},
            },
        }
    )


def run(schema: Any) -> Outcome:
    """Every phase, once."""
    outcome = Outcome()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            outcome.calls += len(event.recorder.interactions)
            outcome.failures += _failures(event.recorder)
        elif isinstance(event, events.NonFatalError):
            outcome.failures.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            outcome.failures.append(f"{event.exception!r}")
    outcome.failures = list(dict.fromkeys(outcome.failures))
    return outcome


def _failures(recorder: ScenarioRecorder) -> list[str]:
    """What each failed check was told, with what was asked and answered."""
    told = []
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            response = recorder.interactions[case_id].response
            answered = response and f"{response.status_code} {response.text[:300]}"
            failure, sample = check.failure_info.failure, check.failure_info.code_sample
            told.append(f"{check.name}: {failure}\n{sample[:600]}\n{answered}")
    return told


def _bearers(book: DevBook) -> Mapping[str, str]:
    keys = book.keys
    return {
        "operator": keys.operator, "service": keys.service, "auditor": keys.auditor,
        "cron": book.cron_secret, "nobody": NOBODY,
    }  # fmt: skip


def fuzz(book: DevBook, seconds: float, console: Console) -> bool:
    """Round after round with new seeds, each by every caller, until the time is over; one at least.

    Returns whether all answers were as described.
    """
    ends_at = time.monotonic() + seconds
    number, calls, failures = 0, 0, 0
    while number == 0 or time.monotonic() < ends_at:
        for caller, bearer in _bearers(book).items():
            config = configuration(bearer, EXAMPLES_OF_A_ROUND, seed=SEED + number)
            schema = schemathesis.openapi.from_url(
                f"{book.base_url}/schema/openapi.json", config=config
            )
            outcome = run(schema)
            console.print(f"round {number}, {caller}: {outcome.calls} calls", highlight=False)
            for failure in outcome.failures:
                console.print(failure, style="red", markup=False, soft_wrap=True)
            calls, failures = calls + outcome.calls, failures + len(outcome.failures)
            if number and time.monotonic() >= ends_at:
                break
        number += 1
    told = f"{failures} not as described" if failures else "every answer as described"
    console.print(f"{calls} calls, {told}", style="red" if failures else "green", highlight=False)
    return not failures


def main() -> None:
    """Fuzz a book of its own; exit code 1 where an answer was not as described."""
    parser = argparse.ArgumentParser(prog="python -m ops.fuzzing", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, required=True, help="no round begins later; the first always does"
    )
    seconds = parser.parse_args().seconds
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="tallybook-fuzz-") as folder,
        running(Path(folder), START) as book,
    ):
        good = fuzz(book.wait(), seconds, Console())
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
