"""Metrics that the database has: queues, runs, transitions, verifications; cheap or left out.

Every process of every machine shows the same values: aggregate them by `max`, not by `sum`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.infrastructure.db import Database

CACHE_SECONDS: Final = 5.0
SECONDS_MAX: Final = 2.0
RUN_WINDOW_HOURS: Final = 26
HOLD_SLACK_MINUTES: Final = 10

# name → description, and the expression over `tallybook_now() AS now`; null leaves it out.
GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    "events_queued": (
        "Events whose effects failed and are tried again.",
        "(SELECT count(*) FROM events WHERE verdict = 'queued')",
    ),
    "events_queued_oldest_seconds": (
        "How long the oldest of them has waited.",
        """coalesce((SELECT extract(epoch FROM now - min(received_at)) FROM events
                      WHERE verdict = 'queued'), 0)""",
    ),
    "events_parked": (
        "Events that wait for a person.",
        "(SELECT count(*) FROM events WHERE verdict = 'parked')",
    ),
    **{
        f"run_{name}": (
            f"{told} by the runs of the last {RUN_WINDOW_HOURS} hours.",
            f"""(SELECT coalesce(sum({column}), 0) FROM runs
                  WHERE started_at > now - interval '{RUN_WINDOW_HOURS} hours')""",
        )
        for name, column, told in (
            # Without accounts that a spend opened first, dormant ones and closed ones: the rest is
            # what `issued` must reach.
            ("expected", "expected - skipped", "Accounts to be opened"),
            ("issued", "issued", "Accounts opened"),
            ("failed", "failed", "Accounts that failed"),
            ("not_opened", "not_opened", "Days that were missed"),
        )
    },
    "run_age_seconds": (
        "Since a run last finished.",
        "(SELECT extract(epoch FROM now - max(finished_at)) FROM runs)",
    ),
    "runs_overdue_seconds": (
        "How long the account that is due for the longest has waited.",
        """coalesce((SELECT extract(epoch FROM greatest(now - min(due_at), '0'))
                       FROM accounts), 0)""",
    ),
    "holds_overdue": (
        f"Holds that stand {HOLD_SLACK_MINUTES} minutes past their deadline.",
        f"""(SELECT count(*) FROM holds WHERE state = 'held'
                AND expires_at < now - interval '{HOLD_SLACK_MINUTES} minutes')""",
    ),
    "seal_due_seconds": (
        "How long the oldest entry that no seal covers has waited, where seals are made.",
        """(SELECT extract(epoch FROM greatest(now - coalesce(
                (SELECT recorded_at FROM entries
                  WHERE id > (SELECT max(entry_id) FROM seals) ORDER BY id LIMIT 1), now), '0'))
              WHERE EXISTS (SELECT FROM seals))""",
    ),
    "webhook_messages_pending": (
        "Webhook messages that wait to be sent.",
        "(SELECT count(*) FROM webhook_messages WHERE state = 'pending')",
    ),
    "webhook_messages_dead": (
        "Webhook messages that could not be delivered in three days.",
        "(SELECT count(*) FROM webhook_messages WHERE state = 'dead')",
    ),
    "webhook_messages_overdue_seconds": (
        "How long the message that is due for the longest has waited, at endpoints that answer.",
        """coalesce((SELECT extract(epoch FROM clock_timestamp() - min(next_attempt_at))
                       FROM webhook_endpoints JOIN webhook_messages
                         ON endpoint_number = number AND state = 'pending'
                      WHERE deleted_at IS NULL AND disabled_at IS NULL AND failing_since IS NULL
                        AND next_attempt_at < clock_timestamp()), 0)""",
    ),
    "webhook_endpoints_failing_seconds": (
        "Since when nothing has arrived at the endpoint that fails for the longest.",
        """coalesce((SELECT extract(epoch FROM clock_timestamp() - min(failing_since))
                       FROM webhook_endpoints WHERE deleted_at IS NULL), 0)""",
    ),
    "webhook_endpoints_disabled": (
        "Webhook endpoints that were disabled after days of failure.",
        """(SELECT count(*) FROM webhook_endpoints
              WHERE deleted_at IS NULL AND disabled_at IS NOT NULL)""",
    ),
    "verify_differences": (
        "Differences that the last `ledger verify` found.",
        "(SELECT difference_count FROM verifications ORDER BY id DESC LIMIT 1)",
    ),
    "verify_age_seconds": (
        "Since `ledger verify` last ran.",
        """(SELECT extract(epoch FROM clock_timestamp() - finished_at) FROM verifications
             ORDER BY id DESC LIMIT 1)""",
    ),
}
_COLUMNS: Final = ", ".join(f"({sql})::float8 AS {name}" for name, (_, sql) in GAUGES.items())
QUERY: Final = f"SELECT {_COLUMNS} FROM (SELECT tallybook_now() AS now) AS clock"
TRANSITIONS: Final = """
SELECT coalesce(from_state, '') AS before, to_state AS after, count(*) AS count FROM transitions
 GROUP BY 1, 2 ORDER BY 1, 2
"""


CREDITS: Final = """
SELECT flow, tier, sum(credits)::bigint AS credits FROM usage_totals, LATERAL (VALUES
    ('granted', granted), ('spent', spent), ('expired', expired)) AS flows (flow, credits)
 GROUP BY flow, tier ORDER BY flow, tier
"""
ALERTS: Final = "SELECT kind, alert_count AS count FROM alert_counts ORDER BY kind"


class Reading(msgspec.Struct, frozen=True):
    """The values that one query found."""

    gauges: Mapping[str, float | None]
    transitions: Mapping[tuple[str, ...], int]
    credits: Mapping[tuple[str, ...], int]
    alerts: Mapping[tuple[str, ...], int]


class Gauges(Collector):
    """Reads at most once every few seconds, and never longer than ``SECONDS_MAX``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading: Reading | None = None
        self._good_until = 0.0
        self._looking = asyncio.Lock()

    async def text(self) -> bytes:
        """Return the metrics in Prometheus' format; only ``tallybook_database_up 0`` if the
        database is away.
        """
        async with self._looking:
            if time.monotonic() >= self._good_until:
                self._reading = await self._read()
                self._good_until = time.monotonic() + CACHE_SECONDS
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    async def _read(self) -> Reading | None:
        try:
            async with asyncio.timeout(SECONDS_MAX), self._database.snapshot():
                await self._database.execute(
                    f"SET LOCAL statement_timeout = {int(SECONDS_MAX * 1_000)}"
                )
                row = await self._database.fetchrow(QUERY)
                counted = [
                    {tuple(one)[:-1]: one[-1] for one in await self._database.fetch(query)}
                    for query in (TRANSITIONS, CREDITS, ALERTS)
                ]
        except Exception:  # away, slow or not migrated: the metrics say so
            return None
        assert row is not None
        return Reading(dict(row), *counted)

    def describe(self) -> Iterable[Metric]:
        """Return nothing; prometheus_client calls it at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the last reading, for prometheus_client."""
        reading = self._reading
        yield GaugeMetricFamily(
            "tallybook_database_up", "Whether the database answered.", float(reading is not None)
        )
        if reading is None:
            return
        for name, (told, _) in GAUGES.items():
            value = reading.gauges[name]
            if value is not None:
                yield GaugeMetricFamily(f"tallybook_{name}", told, value)
        for name, told, labels, counts in (
            ("transitions", "Steps of subscriptions.", ["from", "to"], reading.transitions),
            (
                "credits",
                "Credits by flow, as the tick folds them.",
                ["flow", "tier"],
                reading.credits,
            ),
            ("alerts", "Alerts raised.", ["kind"], reading.alerts),
        ):
            family = CounterMetricFamily(f"tallybook_{name}", told, labels=labels)
            for values, count in counts.items():
                family.add_metric(values, count)
            yield family
