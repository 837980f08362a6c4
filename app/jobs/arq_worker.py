"""The worker's loops: arq nudges them, PostgreSQL decides, and without nudges they run alone.

The tick runs each minute; the fold, which raises alerts, and the delivery of webhooks each second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from typing import Any, Final

import orjson
import structlog
from arq import cron, func
from arq.connections import ArqRedis
from arq.worker import Worker
from redis import exceptions as redis_errors

from app.book import Book
from app.infrastructure import clock
from app.jobs.reconciling import reconcile_hourly
from app.jobs.tick import TICK_SECONDS_MAX, tick
from app.outgoing.deliver import Deliverer
from app.outgoing.sending import Sender
from app.seals import sealer
from app.usage import fold

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 60.0
FOLD_SECONDS: Final = 1.0
DELIVERY_SECONDS: Final = 1.0
# arq's minute and half of the next one; it waits for a hung Redis without a limit of its own
SILENCE_SECONDS_MAX: Final = 90.0
RETRY_SECONDS: Final = 5.0
REDIS_SECONDS_MAX: Final = 5.0
QUEUE: Final = "arq:queue"
_AWAY: Final = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)


class Ticker:
    """Acts at each nudge, and after a silence without one; needs no answer from Redis."""

    def __init__(self, name: str, act: Callable[[Book], Awaitable[object]], book: Book) -> None:
        self._name = name
        self._act = act
        self._book = book
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Act as soon as the running act, if any, is done."""
        self._nudged.set()

    async def run(self, silence_s: float) -> None:
        """Act until canceled; an act that fails, for example without a database, is soon
        retried.
        """
        while True:
            self._nudged.clear()
            wait_s = silence_s
            try:
                await self._act(self._book)
            except Exception:
                log.exception(f"{self._name}_failed")
                wait_s = RETRY_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._nudged.wait()


async def tick_while_time_runs(book: Book) -> None:
    """Tick; under a standing clock only seal: there the advance of the clock ticks.

    Reconciling comes last, so that a slow Stripe delays no grant.
    """
    if await clock.standing(book.database) is not None:
        await sealer.seal(book, TICK_SECONDS_MAX)
    else:
        await tick(book)
        await reconcile_hourly(book)


async def fold_once(book: Book) -> None:
    """Fold what is new, and raise its alerts; also under a standing clock."""
    await fold.fold(book.database, book.catalogues, TICK_SECONDS_MAX)


async def work(book: Book, redis_url: str | None, sender: Sender) -> None:
    """Tick, fold and deliver until canceled: at arq's nudges, and also without them."""
    deliverer = Deliverer(sender)
    ticker = Ticker("tick", tick_while_time_runs, book)
    postman = Ticker("delivery", deliverer.begin, book)

    async def fold_and_tell(book: Book) -> None:
        await fold_once(book)
        postman.nudge()

    folder = Ticker("fold", fold_and_tell, book)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ticker.run(SILENCE_SECONDS_MAX if redis_url else POLL_SECONDS))
            tasks.create_task(folder.run(FOLD_SECONDS))
            tasks.create_task(postman.run(DELIVERY_SECONDS))
            if redis_url is not None:
                tasks.create_task(_be_nudged({"ticker": ticker, "postman": postman}, redis_url))
    finally:
        await deliverer.close()


async def nudge(context: dict[str, Any]) -> None:
    """Nudge the tick; the arq job of each minute."""
    context["ticker"].nudge()


async def deliver(context: dict[str, Any]) -> None:
    """Deliver the messages that are due; the arq job of each second."""
    context["postman"].nudge()


def open_pool(redis_url: str) -> ArqRedis:
    """Open connections that carry jobs as JSON and wait for Redis only for a limited time."""
    pool: ArqRedis = ArqRedis.from_url(
        redis_url,
        socket_timeout=REDIS_SECONDS_MAX,
        socket_connect_timeout=REDIS_SECONDS_MAX,
    )
    # The default is pickle: a write to Redis would be code execution.
    pool.job_serializer, pool.job_deserializer = orjson.dumps, orjson.loads
    return pool


async def _be_nudged(tickers: dict[str, Ticker], redis_url: str) -> None:
    while True:
        pool = open_pool(redis_url)
        try:
            await _arq(tickers, pool)
        except _AWAY as error:
            log.warning("redis_away", error=str(error), remedy="the worker ticks by itself")
        except Exception:
            # A job that arq cannot read would stop it each time. Its queue holds nothing but
            # nudges.
            log.exception("queue_unreadable", remedy="it is emptied")
            await _forget_queue(pool)
        finally:
            await pool.aclose(close_connection_pool=True)
        await asyncio.sleep(RETRY_SECONDS)


async def _forget_queue(pool: ArqRedis) -> None:
    try:
        await pool.delete(QUEUE)
    except redis_errors.RedisError as error:
        log.warning("redis_away", error=str(error), remedy="the worker ticks by itself")


async def _arq(tickers: dict[str, Ticker], pool: ArqRedis) -> None:
    worker = Worker(
        # arq's protocol requires *args
        functions=[func(nudge), func(deliver)],  # type: ignore[arg-type]
        cron_jobs=[
            cron(nudge, second=0, unique=True, max_tries=1),  # type: ignore[arg-type]
            cron(deliver, second=set(range(60)), unique=True, max_tries=1),  # type: ignore[arg-type]
        ],
        redis_pool=pool,
        queue_name=QUEUE,
        ctx=dict(tickers),
        handle_signals=False,
        timezone=UTC,
        job_serializer=pool.job_serializer,
        job_deserializer=pool.job_deserializer,
        keep_result=0,
        log_results=False,
    )
    try:
        await worker.async_run()
    finally:
        # Its own close() raises CancelledError if it finds a running job.
        jobs = list(worker.tasks.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
