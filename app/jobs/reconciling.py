"""The hourly reconciliation with Stripe: by one worker, for some seconds of each minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec
import structlog

from app.book import Book
from app.errors import StripeFailedError
from app.infrastructure import clock
from app.reconcile import store
from app.reconcile.reconcile import EVENT_DAYS_MAX, Reconciler
from app.reconcile.store import Finding, Outcome

log = structlog.get_logger(__name__)

RECONCILE_SECONDS_MAX: Final = 20.0  # of one tick; the next one continues


async def reconcile_hourly(book: Book, within_s: float = RECONCILE_SECONDS_MAX) -> bool:
    """Begin or continue the hour's reconciliation; return whether anything was done."""
    if book.stripe is None:
        return False
    since = await clock.now(book.database) - timedelta(days=EVENT_DAYS_MAX)
    one = await store.claim_hourly(book.database, since)
    if one is None:
        return False
    try:
        done = await Reconciler(book, book.stripe, one, _tell, within_s).run()
        counts = msgspec.structs.asdict(one.counts)
        log.info("reconciled", done=done, part=str(one.part), notes=one.notes, **counts)
    except StripeFailedError as error:
        log.warning("reconcile_failed", error=error.detail, remedy="the next tick goes on")
    finally:
        await store.release(book.database, one)
    return True


def _tell(finding: Finding) -> None:
    write = log.warning if finding.outcome is Outcome.UNMENDED else log.info
    write(
        "drift",
        thing=finding.thing,
        what=finding.what,
        outcome=str(finding.outcome),
        note=finding.note,
    )
