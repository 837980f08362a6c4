"""What the smaller commands do, and how they print it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app import keys, migrations, settings
from app.accounts import tiers as tiers_use_case
from app.accounts.book import Book
from app.audit import export
from app.audit import rebuild as rebuilding
from app.audit.entries import EntryQuery
from app.audit.horizon import Horizons
from app.audit.verify import verify
from app.db import opened
from app.errors import ConfigurationError
from app.grants.catalogue import diff, parse
from app.keys import Scope
from app.settings import read_variable
from app.web.export_forms import FORMS, FormName
from app.web.instants import instant


def database_url(data_dir: Path | None = None) -> str:
    """A running `up`'s database, or that of DATABASE_URL."""
    if data_dir is not None:
        try:
            return str(json.loads((data_dir / "dev.json").read_text())["database_url"])
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(
                f"{data_dir}/dev.json cannot be read ({error}). Is `tallybook up` running there?"
            ) from error
    url = read_variable(os.environ, "DATABASE_URL")
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is missing: postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return url


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


async def show_tiers(console: Console) -> int:
    """`tallybook tiers show`."""
    async with opened(database_url()) as database:
        row = await database.fetchrow("SELECT * FROM catalogues ORDER BY id DESC LIMIT 1")
    if row is None:
        raise ConfigurationError("No catalogue is applied; run `tallybook tiers apply FILE`.")
    console.print(f"# catalogue {row['id']}, applied {row['applied_at']:%Y-%m-%d %H:%M} UTC")
    console.print(row["content"], markup=False, highlight=False, soft_wrap=True)
    return 0


async def apply_tiers(console: Console, file: Path) -> int:
    """`tallybook tiers apply`."""
    content = await asyncio.to_thread(file.read_text, encoding="utf-8")
    wanted = parse(content, str(file))
    async with opened(database_url()) as database:
        before = await database.fetchval("SELECT content FROM catalogues ORDER BY id DESC LIMIT 1")
        number = await tiers_use_case.apply(Book(database), content, str(file), "tallybook tiers")
    for line in diff(parse(before, "before"), wanted) if before else ():
        console.print(f"  {line}", markup=False)
    console.print(f"Catalogue {number} is in force.")
    return 0


async def verify_ledger(console: Console, data_dir: Path | None) -> int:
    """`tallybook ledger verify`."""
    async with opened(database_url(data_dir)) as database:
        checks = await verify(database)
    table = Table("check", "rows", "differences", title="The ledger, recomputed from its entries")
    for check in checks:
        color = "red" if check.differences else "green"
        shown = "; ".join(check.differences[:5]) or "none"
        table.add_row(check.name, f"{check.rows:,}", f"[{color}]{shown}[/]")
    console.print(table)
    return 1 if any(check.differences for check in checks) else 0


async def export_ledger(
    errors: Console, form_name: str, output: Path | None, data_dir: Path | None
) -> int:
    """`tallybook ledger export`; ``errors`` takes the progress, standard output the entries."""
    size = 0
    target = await asyncio.to_thread(output.open, "wb") if output else sys.stdout.buffer
    try:
        async with opened(database_url(data_dir)) as database:
            horizon = await Horizons().find(database)
            chunks = export.stream(database, horizon, EntryQuery(), FORMS[FormName(form_name)])
            with errors.status("exporting") as status:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        size += await asyncio.to_thread(target.write, chunk)
                        status.update(f"exporting: {size:,} bytes")
        await asyncio.to_thread(target.flush)
    finally:
        if output:
            target.close()
    errors.print(f"Exported {size:,} bytes, complete to {instant(horizon.complete_to)}.")
    return 0


async def rebuild_ledger(console: Console, data_dir: Path | None, *, dry_run: bool) -> int:
    """`tallybook ledger rebuild`."""
    async with opened(database_url(data_dir)) as database:
        found = await (rebuilding.find(database) if dry_run else rebuilding.rebuild(database))
    if not found:
        console.print("Balances, lots and holds are what the entries say.")
        return 0
    table = Table("table", "row", "account", "column", "stood", "entries say")
    for one in found:
        cells = (one.row, one.account_id, one.column, one.stood, one.entries_say)
        table.add_row(one.table, *map(str, cells))
    console.print(table)
    mended = "nothing was changed" if dry_run else "mended"
    console.print(f"{len(found)} differences, {mended}.")
    return 1 if dry_run else 0
