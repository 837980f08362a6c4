"""`tallybook book`: the books of a database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from app.accounts import apply_catalogue
from app.allowance.catalogue import default_text
from app.book import Book
from app.cli.listing import Listing
from app.cli.migrate import environment, logins
from app.cli.which_book import database_url, owner_url, running_folder
from app.cli.words import AsJson, BookDir, command, console, group
from app.infrastructure import migrations
from app.infrastructure.books import in_book
from app.infrastructure.db import opened
from app.operators.acts import at_the_machine

book = group("The books of a database: tenants, or test beside live.")


@command(book, "create")
async def create_book(
    name: Annotated[str, typer.Argument(help="Small letters, digits and _.")],
    tiers: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Its catalogue; else the shipped one."),
    ] = None,
    data_dir: BookDir = None,
) -> None:
    """Make a further book, a schema of its own, as DATABASE_OWNER_URL."""
    content = default_text()
    if tiers is not None:
        content = await asyncio.to_thread(tiers.read_text, encoding="utf-8")
    owner = owner_url(data_dir)
    in_running = running_folder(data_dir) is not None
    roles = {"DATABASE_URL": database_url(data_dir)} if in_running else logins()
    marked = "development" if in_running else environment()
    await migrations.make_book(owner, name, roles, marked)
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


@command(book, "list")
async def list_books(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List the books of the database, with how much each holds."""
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
