"""`tallybook migrate`."""

from __future__ import annotations

import os

from rich.console import Console

from app.commands.book import owner_url
from app.infrastructure import migrations
from app.infrastructure.settings import read_variable


async def migrate(console: Console) -> int:
    """`tallybook migrate`."""
    names = ("DATABASE_URL", "DATABASE_READ_URL")
    logins = {name: url for name in names if (url := read_variable(os.environ, name))}
    environment = read_variable(os.environ, "TALLYBOOK_ENV") or "production"
    done = await migrations.migrate(owner_url(), logins, environment)
    for name in done:
        console.print(f"migrated {name}")
    console.print("The database is up to date.")
    return 0
