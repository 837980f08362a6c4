"""`tallybook migrate`."""

from __future__ import annotations

import os

from app.cli.which_book import owner_url
from app.cli.words import console
from app.infrastructure import migrations
from app.infrastructure.books import MAIN_BOOK
from app.infrastructure.variables import read_variable


async def migrate() -> None:
    """Bring the database up to date, as DATABASE_OWNER_URL (else DATABASE_URL).

    Safe to start on many servers at once: one migrates, the others wait.
    """

    def tell(book: str, done: list[str]) -> None:
        of_book = "" if book == MAIN_BOOK else f" in {book}"
        for name in done:
            console.print(f"migrated {name}{of_book}")

    await migrations.migrate_all(owner_url(), logins(), environment(), tell)
    console.print("The database is up to date.")


def logins() -> dict[str, str]:
    """The addresses of the roles that are given rights, by their settings' names."""
    names = ("DATABASE_URL", "DATABASE_READ_URL")
    return {name: url for name in names if (url := read_variable(os.environ, name))}


def environment() -> str:
    """The environment that the book is marked with."""
    return read_variable(os.environ, "TALLYBOOK_ENV") or "production"
