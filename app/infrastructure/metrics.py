"""Counters and timers of this process; processes share them by files if they have a folder.

Deliveries, requests and refusals are counted when they happen, since no row has all of them. What
the database has is read there at each scrape (`app.audit.gauges`), the same from every process.
`tallybook serve` puts the folder into PROMETHEUS_MULTIPROC_DIR before its workers start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from app.infrastructure.settings import COUNTS_FOLDER

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nothing reads

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
BUCKETS_S: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
# Anyone with the signing secret could invent event types, and each would be a series without end.
TYPES: Final = frozenset(
    {
        *(f"customer.{what}" for what in ("created", "updated", "deleted")),
        *(
            f"customer.subscription.{what}"
            for what in (
                "created",
                "updated",
                "deleted",
                "paused",
                "resumed",
                "trial_will_end",
                "pending_update_applied",
                "pending_update_expired",
            )
        ),
        *(
            f"invoice.{what}"
            for what in (
                "created",
                "finalized",
                "paid",
                "payment_succeeded",
                "payment_failed",
                "payment_action_required",
                "updated",
                "voided",
                "marked_uncollectible",
                "upcoming",
            )
        ),
        *(
            f"checkout.session.{what}"
            for what in (
                "completed",
                "expired",
                "async_payment_succeeded",
                "async_payment_failed",
            )
        ),
        *(f"charge.{what}" for what in ("succeeded", "failed", "refunded", "refund.updated")),
        *(
            f"charge.dispute.{what}"
            for what in (
                "created",
                "updated",
                "closed",
                "funds_withdrawn",
                "funds_reinstated",
            )
        ),
        *(f"refund.{what}" for what in ("created", "updated", "failed")),
        *(f"payment_intent.{what}" for what in ("created", "succeeded", "payment_failed")),
    }
)


class Metrics:
    """The counts of one process."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "tallybook_http_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=own,
        )
        self._of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._request_seconds = Histogram(
            "tallybook_http_seconds",
            "From a request's first byte to its answer's last.",
            ["route"],
            buckets=BUCKETS_S,
            registry=own,
        )
        self._webhooks = Counter(
            "tallybook_webhooks", "Deliveries taken in.", ["type", "verdict"], registry=own
        )
        self.webhook_seconds = Histogram(
            "tallybook_webhook_seconds",
            "One delivery, its effects included.",
            buckets=BUCKETS_S,
            registry=own,
        )
        self.signature_failures = Counter(
            "tallybook_webhook_signature_failures",
            "Deliveries whose signature was refused.",
            registry=own,
        )
        self.spend_seconds = Histogram(
            "tallybook_spend_seconds",
            "One spend, waiting for its turn included.",
            buckets=BUCKETS_S,
            registry=own,
        )
        self.rate_limited = Counter(
            "tallybook_rate_limited", "Calls refused by a rate limit.", registry=own
        )
        self.rate_limit_errors = Counter(
            "tallybook_rate_limit_errors",
            "Calls let through since Redis did not answer.",
            registry=own,
        )
        self._reports = Counter(
            "tallybook_reports",
            "Reports read where there is a replica, by which server answered.",
            ["answered_by"],
            registry=own,
        )
        self._pool = Gauge(
            "tallybook_pool_connections",
            "Connections to the database.",
            ["state"],
            registry=own,
            multiprocess_mode="livesum",
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is the template, since a path holds ids."""
        known = method if method in METHODS else "other"
        series = self._of_requests.get((route, known, status))
        if series is None:  # to be found by its labels once: that costs more than to count
            series = (
                self._requests.labels(route, known, str(status)),
                self._request_seconds.labels(route),
            )
            self._of_requests[route, known, status] = series
        count, times = series
        count.inc()
        times.observe(seconds)

    def webhook(self, event_type: str, verdict: str, seconds: float) -> None:
        """Count one delivery that was answered 200."""
        self._webhooks.labels(event_type if event_type in TYPES else "other", verdict).inc()
        self.webhook_seconds.observe(seconds)

    def report(self, answered_by: str) -> None:
        """Count one report of a book that has a replica."""
        self._reports.labels(answered_by).inc()

    def pool(self, *, used: int, idle: int, at_most: int) -> None:
        """Set how many connections of this process' pool are in use."""
        for state, number in (("used", used), ("idle", idle), ("max", at_most)):
            self._pool.labels(state).set(number)

    def text(self) -> bytes:
        """Return Prometheus' format: of this process, or of all that share its folder."""
        folder = os.environ.get(COUNTS_FOLDER)
        if not folder:
            return generate_latest(self._registry)
        _forget_the_dead(Path(folder))
        shared = CollectorRegistry()
        MultiProcessCollector(shared, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(shared)


def _forget_the_dead(folder: Path) -> None:
    """Drop the gauges of ended processes; their counters stay."""
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and not _lives(int(number)):
            path.unlink(missing_ok=True)


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
