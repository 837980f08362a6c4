"""arq nudges, PostgreSQL decides: a tick every minute, polled where Redis is away."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import Any, Final

import orjson
import structlog
from arq import cron, func
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker
from redis.exceptions import RedisError

from app.book import Book
from app.infrastructure import clock
from app.jobs.reconciling import reconcile_hourly
from app.jobs.tick import tick

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 60.0
REDIS_RETRY_SECONDS: Final = 5.0


async def nudge(context: dict[str, Any]) -> None:
    """The arq job of each minute."""
    await tick_while_time_runs(context["book"])


async def tick_while_time_runs(book: Book) -> None:
    """Tick, but not under a standing clock: there the clock's mover ticks.

    Reconciling comes last: Stripe, slow or away, holds up no grant.
    """
    if await clock.standing(book.database) is None:
        await tick(book)
        await reconcile_hourly(book)


async def work(book: Book, redis_url: str | None) -> None:
    """Nudge for ever: by arq while Redis answers, else by polling."""
    while True:
        try:
            await tick_while_time_runs(book)
            if redis_url is not None:
                await _arq(book, redis_url)
        except (RedisError, OSError) as error:
            log.warning("redis_away", error=str(error), remedy="polling until it is back")
        except Exception:  # the database is away or a tick failed: the next one goes on
            log.exception("tick_failed")
        await asyncio.sleep(REDIS_RETRY_SECONDS if redis_url else POLL_SECONDS)


async def open_pool(redis_url: str) -> ArqRedis:
    """Connections that write and read jobs as JSON; raises RedisError, OSError."""
    settings = RedisSettings.from_dsn(redis_url)
    settings.conn_retries = 0
    # The default is pickle: a write to Redis would be code execution.
    return await create_pool(settings, job_serializer=orjson.dumps, job_deserializer=orjson.loads)


async def _arq(book: Book, redis_url: str) -> None:
    pool = await open_pool(redis_url)
    worker = Worker(
        functions=[func(nudge)],  # type: ignore[arg-type]  # arq's protocol wants *args
        cron_jobs=[cron(nudge, second=0, unique=True, max_tries=1)],  # type: ignore[arg-type]
        redis_pool=pool,
        ctx={"book": book},
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
        # The worker closes its pool last of all, and not where something fails before that.
        try:
            await worker.close()
        finally:
            await pool.aclose(close_connection_pool=True)
