"""Which book a command works on: a running `up`'s, or that of DATABASE_URL."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.book import Book, book_of, close_stripe
from app.errors import ConfigurationError
from app.infrastructure import logs, settings
from app.infrastructure.db import opened
from app.infrastructure.settings import read_variable


def database_url(data_dir: Path | None = None) -> str:
    """A running `up`'s database, or that of DATABASE_URL."""
    if data_dir is not None:
        try:
            return str(json.loads((data_dir / "dev.json").read_text())["database_url"])
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(
                f"{data_dir}/dev.json cannot be read ({error}). Is `tallybook up` running there?"
            ) from error
    url = read_variable(os.environ, "DATABASE_URL")
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is missing: postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return url


@asynccontextmanager
async def opened_book(data_dir: Path | None = None) -> AsyncIterator[Book]:
    """The book, with Stripe's API where STRIPE_API_KEY is set."""
    told = settings.load_stripe()
    logs.configure(told)  # to standard error: what a command prints is its answer
    async with opened(database_url(data_dir)) as database:
        book = book_of(told, database)
        try:
            yield book
        finally:
            await close_stripe(book)
