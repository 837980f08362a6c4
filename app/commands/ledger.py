"""`tallybook ledger`: verify, export, rebuild."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Final

from rich.console import Console

from app.audit import export
from app.audit.entries import EntryQuery
from app.audit.horizon import Horizons
from app.commands.book import database_url, opened_by_owner
from app.commands.listing import Listing
from app.infrastructure.db import Database, opened
from app.operators import acts
from app.operators.acts import OperatorAct
from app.usage import fold
from app.verify import rebuild as rebuilding
from app.verify import restore
from app.verify.verify import ALL, Check, store_verdict, verifying
from app.web.exports import FORMS, FormName
from app.web.http.instants import instant

DIFFERENCES_SHOWN: Final = 5


async def verify_ledger(
    console: Console, errors: Console, data_dir: Path | None, *, as_json: bool = False
) -> int:
    """`tallybook ledger verify`; ``errors`` takes the progress."""
    listing = Listing(
        "check", "holds", "rows", "differences", title="The ledger, recomputed from its entries"
    )
    done: list[Check] = []
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        checks = verifying(database)
        with errors.status("checking") as status:
            async with aclosing(checks):
                async for check in checks:
                    done.append(check)
                    shown = "; ".join(check.differences[:DIFFERENCES_SHOWN])
                    holds = "fail" if check.differences else "ok"
                    listing.add(check.name, holds, check.rows, shown)
                    status.update(f"checking: {len(done)} of {len(ALL)} done")
        await store_verdict(database, done)
    listing.show(console, as_json=as_json)
    return 1 if any(check.differences for check in done) else 0


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


async def rebuild_ledger(
    console: Console,
    data_dir: Path | None,
    *,
    dry_run: bool,
    reason: str | None = None,
    as_json: bool = False,
) -> int:
    """`tallybook ledger rebuild`."""
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        if dry_run:
            found = await rebuilding.find(database)
        else:
            found = await _rebuild(database, reason)
            await fold.refold(database)
    listing = Listing("table", "row", "account", "column", "stood", "entries say")
    for one in found:
        listing.add(one.table, one.row, one.account_id, one.column, one.stood, one.entries_say)
    if found or as_json:
        listing.show(console, as_json=as_json)
    if not as_json:
        mended = "nothing was changed" if dry_run else "mended; usage by day was folded anew"
        console.print(f"{len(found)} differences from what the entries say, {mended}.")
    return 1 if dry_run and found else 0


async def after_restore(console: Console, data_dir: Path | None, reason: str | None) -> int:
    """`tallybook ledger rebuild --after-restore`, by the schema's owner."""
    async with opened_by_owner(data_dir) as database, database.transaction():
        epoch = await restore.begin_epoch(database)
        by = acts.at_the_machine(reason)
        await acts.record(database, OperatorAct.RESTORE, by, subject=f"epoch {epoch}")
    console.print(
        f"Ids go on {restore.IDS_SKIPPED:,} higher, and the book's epoch is {epoch}: no id that was"
        " handed out before the restore names another thing."
    )
    return 0


async def _rebuild(database: Database, reason: str | None) -> list[rebuilding.Difference]:
    async with database.transaction():
        found = await rebuilding.rebuild(database)
        if found:
            by = acts.at_the_machine(reason)
            subject = f"{len(found)} differences"
            await acts.record(database, OperatorAct.REBUILD, by, subject=subject)
    return found
