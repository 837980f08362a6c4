"""`tallybook book`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.words import AsJson, BookDir, console, group, run

book = group("The books of a database: tenants, or test beside live.")


@book.command("create")
def book_create(
    name: Annotated[str, typer.Argument(help="Small letters, digits and _.")],
    tiers: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Its catalogue; else the shipped one."),
    ] = None,
    data_dir: BookDir = None,
) -> None:
    """Make a further book, a schema of its own, as DATABASE_OWNER_URL."""
    from app.commands.migrate import create_book

    run(create_book(console, name, tiers, data_dir))


@book.command("list")
def book_list(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List the books of the database, with how much each holds."""
    from app.commands.migrate import list_books

    run(list_books(console, data_dir, as_json=as_json))
