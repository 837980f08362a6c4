"""Find the book that a command works on: that of a running `up`, or that of DATABASE_URL."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import asyncpg
from rich.console import Console

from app.book import Book, book_of, close_stripe
from app.embedded.ports import LOOPBACK_NETWORKS
from app.errors import ConfigurationError
from app.infrastructure import settings
from app.infrastructure.books import in_book
from app.infrastructure.db import COMMAND_TIMEOUT_S, Database, opened
from app.infrastructure.rates import parse_networks
from app.infrastructure.variables import read_variable
from app.ledger.idempotency import secret_of
from app.outgoing.sending import Sender
from app.simulate.address import FOLDERS


def running_folder(data_dir: Path | None = None) -> Path | None:
    """The data folder to work on: the one that is named, else without DATABASE_URL one in which
    `up` runs, which is told on standard error; None for the database of DATABASE_URL.
    """
    if data_dir is not None or read_variable(os.environ, "DATABASE_URL") is not None:
        return data_dir
    found = next((folder for folder in FOLDERS if (folder / "dev.json").is_file()), None)
    if found is not None:
        _tell(found)
    return found


@cache
def _tell(folder: Path) -> None:
    Console(stderr=True).print(f"On the book that runs in {folder}.", style="dim")


def database_url(data_dir: Path | None = None) -> str:
    """A running `up`'s database, or that of DATABASE_URL."""
    folder = running_folder(data_dir)
    if folder is not None:
        return in_named_book(_of_running(folder)["database_url"])
    url = read_variable(os.environ, "DATABASE_URL")
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is missing (postgresql://USER:PASSWORD@HOST/DATABASE), and no `tallybook "
            "up` runs in .tallybook here; --data-dir names another folder."
        )
    return in_named_book(url)


def in_named_book(url: str) -> str:
    """The address of the book that `--book` or TALLYBOOK_BOOK names."""
    return in_book(url, read_variable(os.environ, "TALLYBOOK_BOOK"))


def owner_url(data_dir: Path | None = None) -> str:
    """The login of the schema's owner, by DATABASE_OWNER_URL; where none is told, the other's."""
    folder = running_folder(data_dir)
    if folder is not None:
        told = _of_running(folder)
        return in_named_book(told.get("database_owner_url") or told["database_url"])
    url = read_variable(os.environ, "DATABASE_OWNER_URL")
    return database_url() if url is None else in_named_book(url)


def key_pepper(data_dir: Path | None = None) -> str:
    """The pepper of the keys: a running `up`'s, or TALLYBOOK_KEY_PEPPER."""
    folder = running_folder(data_dir)
    if folder is not None:
        return _read(folder, "secrets.json", "key_pepper")["key_pepper"]
    return settings.load_key_pepper()


def key_secret(data_dir: Path | None = None) -> bytes:
    """The secret by which erased idempotency keys are found: of the same pepper, if it is told."""
    if running_folder(data_dir) is not None:
        return secret_of(key_pepper(data_dir))
    return secret_of(read_variable(os.environ, "TALLYBOOK_KEY_PEPPER") or "")


def webhook_sender(data_dir: Path | None = None) -> Sender:
    """The settings of webhooks: a running `up`'s, or those of the environment."""
    pepper = key_pepper(data_dir)
    if running_folder(data_dir) is not None:
        return Sender(pepper=pepper, allowed=parse_networks(LOOPBACK_NETWORKS))
    return Sender(pepper=pepper, allowed=settings.load_webhooks_private())


def seal_keys(data_dir: Path | None = None) -> tuple[str, ...]:
    """The keys that sign seals: a running `up`'s, or TALLYBOOK_SEAL_KEY.

    Raises ConfigurationError where there is none.
    """
    folder = running_folder(data_dir)
    if folder is not None:
        return (_read(folder, "secrets.json", "seal_key")["seal_key"],)
    keys = settings.load_seal_keys()
    if not keys:
        raise ConfigurationError(
            "TALLYBOOK_SEAL_KEY is missing: `tallybook seal key NAME` makes one."
        )
    return keys


def running_book(data_dir: Path) -> dict[str, object]:
    """Return the content of dev.json of the `up` that runs in this folder; raise ConfigurationError
    if none runs.
    """
    return dict(_read(data_dir, "dev.json", "database_url"))


def _of_running(data_dir: Path) -> dict[str, str]:
    return _read(data_dir, "dev.json", "database_url")


def _read(data_dir: Path, name: str, member: str) -> dict[str, str]:
    try:
        told: dict[str, str] = json.loads((data_dir / name).read_text())
        told[member]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{data_dir}/{name} cannot be read ({error}). Is `tallybook up` running there?"
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
    async with opened(database_url(data_dir)) as database:
        book = book_of(told, database)
        try:
            yield book
        finally:
            await close_stripe(book)


@asynccontextmanager
async def acting(book: Book, *, dry_run: bool) -> AsyncIterator[None]:
    """Keep what is done within, or with ``dry_run`` do it and roll it back."""
    if dry_run:
        async with book.database.rehearsal():
            yield
    else:
        yield
