"""`tallybook keys`: make, list, revoke API keys."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

from app import keys, settings
from app.commands.book import database_url
from app.db import opened
from app.errors import ConfigurationError
from app.keys import Scope


async def create_key(
    console: Console, name: str, scopes: list[str], expires_at: datetime | None
) -> int:
    """`tallybook keys create`."""
    wrong = set(scopes) - set(Scope)
    if wrong:
        raise ConfigurationError(
            f"No such scope: {', '.join(sorted(wrong))}. Use {', '.join(Scope)}."
        )
    pepper = settings.load().key_pepper
    async with opened(database_url()) as database:
        wanted = [Scope(scope) for scope in scopes]
        token = await keys.create(database, pepper, name, wanted, expires_at)
    console.print(token, soft_wrap=True, highlight=False)
    errors = Console(stderr=True)
    errors.print(
        "This is the only time it is shown; send it as Authorization: Bearer.", style="dim"
    )
    return 0


async def list_keys(console: Console) -> int:
    """`tallybook keys list`."""
    table = Table("id", "name", "scopes", "created", "expires", "revoked")
    async with opened(database_url()) as database:
        for row in await database.fetch("SELECT * FROM api_keys ORDER BY created_at"):
            instants = (row["created_at"], row["expires_at"], row["revoked_at"])
            shown = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in instants]
            table.add_row(row["id"], row["name"], ", ".join(row["scopes"]), *shown)
    console.print(table)
    return 0


async def revoke_key(console: Console, key_id: str) -> int:
    """`tallybook keys revoke`."""
    async with opened(database_url()) as database:
        done = await keys.revoke(database, key_id)
    console.print(f"Revoked {key_id}." if done else f"No good key has the id {key_id}.")
    return 0 if done else 1
