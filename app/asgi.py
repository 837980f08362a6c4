"""The Litestar application: settings in, routes declared, the pool opened and closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.plugins import PluginProtocol
from litestar.types import ControllerRouterHandler

from app.accounts.view import Views
from app.audit.balance import Balances
from app.audit.export import Exports
from app.audit.gauges import Gauges
from app.audit.horizon import Horizons
from app.audit.readings import Readings
from app.book import Book, book_of, close_stripe, settings_of
from app.console.routes import CONSOLE
from app.infrastructure import logs, traces
from app.infrastructure import settings as settings_module
from app.infrastructure.checked_database import checked
from app.infrastructure.db import Database, kept_open
from app.infrastructure.limiter import Limiter
from app.infrastructure.metrics import Metrics
from app.infrastructure.settings import Settings
from app.ledger import idempotency
from app.operators.keys import Keyring
from app.spending import queue, turns
from app.spending.queue import SpendQueue
from app.spending.turns import Turns
from app.verify.asked import Verifier
from app.web import health, metrics, schema
from app.web.http import access, answers, body, books, problems, request_log
from app.web.http.bounded import Looks, Reports
from app.web.http.problems import DATABASE_AWAY
from app.web.routes import CLOCK_ROUTES, ROUTES
from app.webhooks.group import WebhookGroups

POOL_WATCH_SECONDS: Final = 5.0
KEY_USES_SECONDS: Final = 60.0


def create_app(settings: Settings) -> Litestar:
    """Return the application; it opens the database when its lifespan begins.

    Raises ConfigurationError if a route declares no access.
    """
    app = routed(settings)
    furnish(app, settings)
    books.serve(app, {name: _further(app, name) for name in settings.books})
    return app


def _further(app: Litestar, name: str) -> Litestar:
    """Return the application of a further book, with the same metrics."""
    settings = settings_of(name)
    other = routed(settings)
    furnish(other, settings, app.state.metrics)
    return other


def routed(settings: Settings) -> Litestar:
    """Return the routes alone: they take a tenth of a second to make and are the same for each
    book.
    """
    app = Litestar(
        route_handlers=[*_routes(settings), CONSOLE],
        guards=[access.guard],
        exception_handlers=problems.HANDLERS,
        request_class=body.StrictRequest,
        response_class=answers.JsonResponse,
        request_max_body_size=body.BODY_BYTES_MAX,
        openapi_config=None,
        lifespan=[_lifespan],
        plugins=_plugins(settings),
        state=State(deep_copy=False),
        debug=False,
        logging_config=None,
    )
    access.require_declared(app)
    access.tell_all_methods(app)
    access.guard_as_they_are(app)
    # Around it all: a middleware would not see what no route answers.
    app.asgi_handler = request_log.request_log(app.asgi_handler, app.state)
    return app


def furnish(app: Litestar, settings: Settings, counts: Metrics | None = None) -> None:
    """Attach database, metrics and limiter to the application; called before its lifespan."""
    counts = counts or Metrics()
    failed = counts.rate_limit_errors.inc if settings.rate_limits else _nothing
    limiter = Limiter(settings.redis_url, failed) if settings.redis_url else None
    book = book_of(settings, Database(settings.database_url, settings.pool_size_max))
    # Connections of their own: spends go on, whatever waits on the others for a lock.
    spending = replace(
        book,
        database=Database(
            settings.database_url,
            queue.CONNECTIONS + turns.CONNECTIONS,
            application="tallybook spends",
            patience=queue.PATIENCE,
        ),
    )
    state = app.state
    state.update({**_state(settings, book, spending), "metrics": counts, "limiter": limiter})
    state.balances = Balances(book.database, state.horizons)
    state.replica = _replica(settings)
    state.readings = Readings(book.database, state.replica, counts.report)
    state.readiness = Looks(partial(health.readiness, state))
    state.scrapes = Looks(partial(metrics.scrape, state))


def _replica(settings: Settings) -> Database | None:
    """Return the replica's pool; a server starts without the replica, and asks it for reports."""
    if settings.database_replica_url is None:
        return None
    return Database(
        settings.database_replica_url,
        settings.pool_size_max,
        pool_size_min=0,
        application="tallybook reports",
    )


def _routes(settings: Settings) -> list[ControllerRouterHandler]:
    return [*ROUTES, *(CLOCK_ROUTES if settings.clock_settable else ())]


def _plugins(settings: Settings) -> list[PluginProtocol]:
    if settings.assistants == "off":
        return []
    from app.web.assistants import tools

    described = schema.published(_routes(settings), version("tallybook"))
    return [tools(settings.assistants, described["openapi_json"])]


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    book: Book = app.state.book
    counts: Metrics = app.state.metrics
    limiter: Limiter | None = app.state.limiter
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(checked(book.database))
        await stack.enter_async_context(kept_open(app.state.spending.database))
        if app.state.replica is not None:
            await stack.enter_async_context(kept_open(app.state.replica))
        if limiter is not None:
            await limiter.open()
        keyring: Keyring = app.state.keyring
        watching = asyncio.create_task(_watch(book.database, counts))
        noting = asyncio.create_task(_note_uses(keyring))
        try:
            yield
        finally:
            watching.cancel()
            noting.cancel()
            with suppress(*DATABASE_AWAY):
                await keyring.store_uses()
            await app.state.verifier.close()
            await app.state.spends.close()
            await app.state.views.close()
            await app.state.balances.close()
            await app.state.webhook_groups.close()
            if limiter is not None:
                await limiter.close()
            await close_stripe(book)


def _state(settings: Settings, book: Book, spending: Book) -> dict[str, Any]:
    return {
        **schema.published(_routes(settings), version("tallybook")),
        "settings": settings,
        "key_secret": idempotency.secret_of(settings.key_pepper),
        "book": book,
        "spending": spending,
        "spends": SpendQueue(spending),
        "views": Views(book),
        "turns": Turns(),
        "webhook_groups": WebhookGroups(book),
        "keyring": Keyring(
            book.database,
            settings.key_pepper,
            production=settings.environment == "production",
        ),
        "gauges": Gauges(book.database),
        "horizons": Horizons(),
        "exports": Exports(),
        "reports": Reports(),
        "verifier": Verifier(book.database),
    }


def _nothing() -> None:
    """Do nothing: without limits no call passes uncounted."""


async def _note_uses(keyring: Keyring) -> None:
    """Store once a minute when keys were last used; if the database is away, a minute later."""
    while True:
        await asyncio.sleep(KEY_USES_SECONDS)
        with suppress(*DATABASE_AWAY):
            await keyring.store_uses()


async def _watch(database: Database, counts: Metrics) -> None:
    """Keep the pool's gauge up to date: a scrape reaches one process of several."""
    while True:
        counts.pool(**database.pool_use())
        await asyncio.sleep(POOL_WATCH_SECONDS)


def application() -> Litestar:
    """Return the application of this process's environment, as the HTTP server loads it."""
    settings = settings_module.load()
    logs.configure(settings)
    if settings.traced:
        traces.export("tallybook")
    return create_app(settings)
