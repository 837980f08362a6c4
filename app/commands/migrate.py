"""`tallybook migrate`."""

from __future__ import annotations

import os

from rich.console import Console

from app.commands.book import database_url
from app.infrastructure import migrations
from app.infrastructure.settings import read_variable


async def migrate(console: Console) -> int:
    """`tallybook migrate`."""
    names = ("DATABASE_URL", "DATABASE_READ_URL")
    logins = {name: url for name in names if (url := read_variable(os.environ, name))}
    owner_url = read_variable(os.environ, "DATABASE_OWNER_URL") or database_url()
    done = await migrations.migrate(owner_url, logins)
    for name in done:
        console.print(f"migrated {name}")
    console.print("The database is up to date.")
    return 0
