"""Acts of the schema's owner, which no server may do: making keys and applying catalogues."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from app.accounts import apply_catalogue
from app.book import Book
from app.infrastructure.books import book_of_url, in_book
from app.infrastructure.db import Database, opened
from app.operators import keys
from app.operators.keys import Scope

VARIABLE = "TALLYBOOK_TEST_POSTGRES"  # the URLs of the run's server, by role


@asynccontextmanager
async def owner_of(database: Database) -> AsyncIterator[Database]:
    """The same database of the run's server, by the owner's login."""
    url = urlsplit(json.loads(os.environ[VARIABLE])["owner"])
    there = urlunsplit(url._replace(path=urlsplit(database.url).path))
    async with opened(in_book(there, book_of_url(database.url)), 2) as owner:
        yield owner


async def make_key(
    database: Database,
    pepper: str,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
) -> str:
    """A new key of the book."""
    async with owner_of(database) as owner:
        return await keys.create(owner, pepper, name, scopes, expires_at)


async def make_keys_of_all_scopes(database: Database, pepper: str) -> dict[str, str]:
    """Return a new key of the book for each scope, all of them made by one connection."""
    async with owner_of(database) as owner:
        return {
            str(scope): await keys.create(owner, pepper, scope, [scope], None) for scope in Scope
        }


async def apply_tiers(
    book: Book, content: str, file: str = "tiers.toml", applied_by: str = "tests"
) -> int:
    """Let a catalogue be in force; returns its id."""
    async with owner_of(book.database) as owner:
        return await apply_catalogue.apply(replace(book, database=owner), content, file, applied_by)
