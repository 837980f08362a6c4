"""`tallybook migrate`, and `tallybook book`: the books of a database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from rich.console import Console

from app.accounts import apply_catalogue
from app.allowance.catalogue import default_text
from app.book import Book
from app.commands.book import database_url, owner_url, running_folder
from app.commands.listing import Listing
from app.infrastructure import migrations
from app.infrastructure.books import MAIN_BOOK, in_book
from app.infrastructure.db import opened
from app.infrastructure.variables import read_variable
from app.operators.acts import at_the_machine


async def migrate(console: Console) -> int:
    """`tallybook migrate`."""

    def tell(book: str, done: list[str]) -> None:
        of_book = "" if book == MAIN_BOOK else f" in {book}"
        for name in done:
            console.print(f"migrated {name}{of_book}")

    await migrations.migrate_all(owner_url(), _logins(), _environment(), tell)
    console.print("The database is up to date.")
    return 0


async def create_book(
    console: Console, name: str, tiers: Path | None, data_dir: Path | None
) -> int:
    """`tallybook book create`."""
    content = default_text()
    if tiers is not None:
        content = await asyncio.to_thread(tiers.read_text, encoding="utf-8")
    owner = owner_url(data_dir)
    in_running = running_folder(data_dir) is not None
    logins = {"DATABASE_URL": database_url(data_dir)} if in_running else _logins()
    environment = "development" if in_running else _environment()
    await migrations.make_book(owner, name, logins, environment)
    async with opened(in_book(owner, name)) as database:
        named = str(tiers) if tiers else "the shipped tiers.toml"
        await apply_catalogue.apply(Book(database), content, named, at_the_machine(None).actor)
    upper = name.upper()
    console.print(
        f"The book {name} is made. To work on it:\n"
        f"  tallybook --book {name} keys create NAME --scope service\n"
        f"To serve it at /books/{name}, beside the others, set these and start anew:\n"
        f"  TALLYBOOK_BOOKS={name}\n"
        f"  STRIPE_WEBHOOK_SECRET__{upper}=whsec_…\n"
        f"Its endpoint at Stripe is …/books/{name}/api/webhooks/stripe.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


async def list_books(console: Console, data_dir: Path | None, *, as_json: bool = False) -> int:
    """`tallybook book list`."""
    listing = Listing("book", "accounts", "entries", "migrations missing")
    url = database_url(data_dir)
    async with opened(url) as database:
        names = await migrations.books(database)
    for name in names:
        async with opened(in_book(url, name)) as database:
            counts = await database.fetchrow(
                "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM entries)"
            )
            assert counts is not None
            missing = await migrations.missing(database)
            listing.add(name, *counts, len(missing) or None)
    listing.show(console, as_json=as_json)
    return 0


def _logins() -> dict[str, str]:
    names = ("DATABASE_URL", "DATABASE_READ_URL")
    return {name: url for name in names if (url := read_variable(os.environ, name))}


def _environment() -> str:
    return read_variable(os.environ, "TALLYBOOK_ENV") or "production"
