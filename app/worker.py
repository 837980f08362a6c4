"""The worker process: arq's tick until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

from app.book import book_of, close_stripe, settings_of
from app.infrastructure import logs, settings, traces
from app.infrastructure.checked_database import checked
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.jobs import arq_worker
from app.outgoing.sending import Sender


async def work() -> int:
    """Tick and deliver until a signal; a running tick ends its transaction or rolls it back."""
    configured = settings.load()
    logs.configure(configured)
    if configured.traced:
        traces.export("tallybook-worker")
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        working = [await _begin(stack, configured, configured.redis_url)]
        for name in configured.books:
            # Nudges are for the first book; the others' loops run by themselves.
            working.append(await _begin(stack, settings_of(name), None))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: [each.cancel() for each in working])
        await asyncio.gather(*working, return_exceptions=True)
    return 0


async def _begin(
    stack: AsyncExitStack, configured: Settings, redis_url: str | None
) -> asyncio.Task[None]:
    """Open a book until the stack closes, and begin its work."""
    database = Database(configured.database_url, 6, application="tallybook worker")
    await stack.enter_async_context(checked(database))
    book = book_of(configured, database)
    stack.push_async_callback(close_stripe, book)
    sender = Sender(pepper=configured.key_pepper, allowed=configured.webhooks_private)
    return asyncio.create_task(arq_worker.work(book, redis_url, sender))
