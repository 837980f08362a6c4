"""`tallybook tiers`: show and apply the catalogue."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from app.accounts import tiers as tiers_use_case
from app.accounts.book import Book
from app.commands.book import database_url
from app.db import opened
from app.errors import ConfigurationError
from app.grants.catalogue import diff, parse
from app.operator_acts import at_the_machine


async def show_tiers(console: Console) -> int:
    """`tallybook tiers show`."""
    async with opened(database_url()) as database:
        row = await database.fetchrow("SELECT * FROM catalogues ORDER BY id DESC LIMIT 1")
    if row is None:
        raise ConfigurationError("No catalogue is applied; run `tallybook tiers apply FILE`.")
    console.print(f"# catalogue {row['id']}, applied {row['applied_at']:%Y-%m-%d %H:%M} UTC")
    console.print(row["content"], markup=False, highlight=False, soft_wrap=True)
    return 0


async def apply_tiers(console: Console, file: Path, reason: str | None) -> int:
    """`tallybook tiers apply`."""
    content = await asyncio.to_thread(file.read_text, encoding="utf-8")
    wanted = parse(content, str(file))
    async with opened(database_url()) as database:
        before = await database.fetchval("SELECT content FROM catalogues ORDER BY id DESC LIMIT 1")
        number = await tiers_use_case.apply(
            Book(database), content, str(file), "tallybook tiers", at_the_machine(reason)
        )
    for line in diff(parse(before, "before"), wanted) if before else ():
        console.print(f"  {line}", markup=False)
    console.print(f"Catalogue {number} is in force.")
    return 0
