"""The worker process: arq's tick until SIGTERM."""

from __future__ import annotations

import asyncio
import signal

from app.book import book_of, close_stripe
from app.infrastructure import logs, settings, traces
from app.infrastructure.checked_database import checked
from app.infrastructure.db import Database
from app.jobs import arq_worker
from app.outgoing.sending import Sender


async def work() -> int:
    """Tick and deliver until a signal; a tick under way ends its transaction or rolls it back."""
    configured = settings.load()
    logs.configure(configured)
    if configured.traced:
        traces.export("tallybook-worker")
    database = Database(configured.database_url, 6, application="tallybook worker")
    async with checked(database):
        book = book_of(configured, database)
        loop = asyncio.get_running_loop()
        sender = Sender(pepper=configured.key_pepper, allowed=configured.webhooks_private)
        working = asyncio.ensure_future(arq_worker.work(book, configured.redis_url, sender))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, working.cancel)
        try:
            await asyncio.gather(working, return_exceptions=True)
        finally:
            await close_stripe(book)
    return 0
