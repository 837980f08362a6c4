"""Which book a command works on: a running `up`'s, or that of DATABASE_URL."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from app.book import Book, book_of, close_stripe
from app.errors import ConfigurationError
from app.infrastructure import logs, settings
from app.infrastructure.db import COMMAND_TIMEOUT_S, Database, opened
from app.infrastructure.settings import read_variable


def database_url(data_dir: Path | None = None) -> str:
    """A running `up`'s database, or that of DATABASE_URL."""
    if data_dir is not None:
        return _of_running(data_dir)["database_url"]
    url = read_variable(os.environ, "DATABASE_URL")
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is missing: postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return url


def owner_url(data_dir: Path | None = None) -> str:
    """The login of the schema's owner, by DATABASE_OWNER_URL; where none is told, the other's."""
    if data_dir is not None:
        told = _of_running(data_dir)
        return told.get("database_owner_url") or told["database_url"]
    return read_variable(os.environ, "DATABASE_OWNER_URL") or database_url()


def _of_running(data_dir: Path) -> dict[str, str]:
    try:
        told: dict[str, str] = json.loads((data_dir / "dev.json").read_text())
        told["database_url"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{data_dir}/dev.json cannot be read ({error}). Is `tallybook up` running there?"
        ) from error
    return told


@asynccontextmanager
async def opened_by_owner(
    data_dir: Path | None = None, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S
) -> AsyncIterator[Database]:
    """The database by its owner's login, for acts that no server may do.

    Raises ConfigurationError if the login is another's.
    """
    try:
        async with opened(owner_url(data_dir), command_timeout_s=command_timeout_s) as database:
            yield database
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"Only the schema's owner may do this ({error}): name its login in DATABASE_OWNER_URL. "
            "Nothing was changed."
        ) from None


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
