"""The minute's tick: retry queued events, post what is due, seal; all of it is safe to repeat."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.accounts import apply_catalogue
from app.book import Book
from app.infrastructure import clock
from app.operators import sessions
from app.outgoing import messages
from app.reversals import run, run_again
from app.runs import due_waves
from app.runs.run import Ticked, run_due
from app.seals import sealer, witnesses
from app.usage import fold
from app.webhooks import inbox
from app.webhooks.receive import retry_due

log = structlog.get_logger(__name__)

TICK_SECONDS_MAX: Final = 50.0  # the next minute's tick continues with what is left
_MINUTE: Final = timedelta(minutes=1)


async def tick(book: Book, started_by: str = "tick", within_s: float = TICK_SECONDS_MAX) -> Ticked:
    """Tick once; return the runs that were worked on.

    Errors of earlier steps are raised again after the grants, so that they cannot block them.
    """
    failures: list[Exception] = []
    retried = await _tried(retry_due(book), failures)
    for resume in (apply_catalogue.catch_up, run.resume, run_again.resume):
        await _tried(resume(book, within_s), failures)
    await _tried(messages.forget(book), failures)
    await _tried(sessions.sweep(book.database), failures)
    ticked = await run_due(
        book.database, book.catalogues, started_by, within_s, at_once=book.grant_chunks
    )
    await fold.fold(book.database, book.catalogues, within_s)
    await _tried(sealer.seal(book, within_s), failures)
    await _tried(witnesses.ask_witnesses(book), failures)
    if retried or ticked.run_ids:
        log.info("tick", events_retried=retried, run_count=len(ticked.run_ids), done=ticked.done)
    if failures:
        raise failures[0]
    return ticked


async def _tried(step: Awaitable[int | None], failures: list[Exception]) -> int | None:
    try:
        return await step
    except Exception as error:
        log.exception("tick_step_failed")
        failures.append(error)
        return None


async def advance_clock(book: Book, to: datetime) -> datetime:
    """Move a standing clock forward as if each minute's tick had run, in time order.

    The usage is folded before and after, and new entries are sealed after, so that alerts and
    seals exist when the call returns.
    """
    await fold.fold(book.database, book.catalogues, TICK_SECONDS_MAX)
    last = await clock.now(book.database)
    while (due := await _next_due(book)) is not None:
        minute = max(_minute_from(due), _minute_from(last))
        if minute > to:
            break
        await clock.stand(book.database, minute)
        while not (await tick(book, "tick")).done:
            continue
        last = minute + timedelta(microseconds=1)  # what still fails waits for the next minute
    stands = await clock.stand(book.database, to)
    await fold.fold(book.database, book.catalogues, TICK_SECONDS_MAX)
    await sealer.seal(book, TICK_SECONDS_MAX)
    return stands


async def _next_due(book: Book) -> datetime | None:
    accounts_due: datetime | None = await book.database.fetchval(
        "SELECT min(due_at) FROM accounts WHERE due_at < '9999-12-31'"
    )
    others = (
        await inbox.next_attempt_at(book.database),
        await due_waves.next_dormant_at(book.database),
    )
    dues = [due for due in (accounts_due, *others) if due]
    return min(dues, default=None)


def _minute_from(instant: datetime) -> datetime:
    """Return the first whole minute at or after the instant."""
    whole = instant.replace(second=0, microsecond=0)
    return whole if whole == instant else whole + _MINUTE
