"""`tallybook ledger`: verify, export, rebuild."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from app.audit import export
from app.audit.entries import EntryQuery
from app.audit.horizon import Horizons
from app.cli.listing import Listing
from app.cli.which_book import database_url, key_pepper, opened_by_owner
from app.cli.words import AsJson, BookDir, Why, command, console, errors_console, group
from app.erasure.erase import erase_account
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

ledger = group("The ledger: check it, export it, rebuild what is derived from it.")


@command(ledger, "verify")
async def verify_ledger(as_json: AsJson = False, data_dir: BookDir = None) -> int:
    """Recompute every balance from entries alone and check every invariant; 1 on a difference."""
    listing = Listing(
        "check", "holds", "rows", "differences", title="The ledger, recomputed from its entries"
    )
    done: list[Check] = []
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        checks = verifying(database)
        with errors_console.status("checking") as status:
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


@command(ledger, "export")
async def export_ledger(
    form: Annotated[Literal["ndjson", "csv"], typer.Option("--format")] = "ndjson",
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file, instead of standard output.")
    ] = None,
    data_dir: BookDir = None,
) -> None:
    """Write every entry, ending in a record of count and SHA-256; progress goes to stderr."""
    size = 0
    target = await asyncio.to_thread(output.open, "wb") if output else sys.stdout.buffer
    try:
        async with opened(database_url(data_dir)) as database:
            horizon = await Horizons().find(database)
            chunks = export.stream(database, horizon, EntryQuery(), FORMS[FormName(form)])
            with errors_console.status("exporting") as status:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        size += await asyncio.to_thread(target.write, chunk)
                        status.update(f"exporting: {size:,} bytes")
        await asyncio.to_thread(target.flush)
    finally:
        if output:
            target.close()
    errors_console.print(f"Exported {size:,} bytes, complete to {instant(horizon.complete_to)}.")


@command(ledger, "rebuild", asks=True)
async def rebuild_ledger(
    data_dir: BookDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; 1 where something differs.")
    ] = False,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="Move all ids past those handed out before a restore. Takes the owner's login.",
        ),
    ] = False,
    reason: Why = None,
    as_json: AsJson = False,
) -> int:
    """Set balances, lots and holds to what the entries say, in one transaction.

    After a restore to an earlier moment run it with --after-restore, once, before anybody writes:
    the ids that were handed out since that moment must not name other things.
    """
    if after_restore:
        await _begin_epoch(data_dir, reason)
        return 0
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


async def _rebuild(database: Database, reason: str | None) -> list[rebuilding.Difference]:
    async with database.transaction():
        found = await rebuilding.rebuild(database)
        if found:
            by = acts.at_the_machine(reason)
            subject = f"{len(found)} differences"
            await acts.record(database, OperatorAct.REBUILD, by, subject=subject)
    return found


async def _begin_epoch(data_dir: Path | None, reason: str | None) -> None:
    """`--after-restore`, by the schema's owner."""
    async with opened_by_owner(data_dir) as database, database.transaction():
        epoch = await restore.begin_epoch(database)
        by = acts.at_the_machine(reason)
        await acts.record(database, OperatorAct.RESTORE, by, subject=f"epoch {epoch}")
    console.print(
        f"Ids go on {restore.IDS_SKIPPED:,} higher, and the book's epoch is {epoch}: no id that was"
        " handed out before the restore names another thing."
    )


@command(ledger, "erase", asks=True)
async def erase(
    account_id: Annotated[str, typer.Argument(help="The application's or the customer's id.")],
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Erase a person: names and texts go; every entry, total and proof stays.

    That is names, addresses, e-mail, telephone and tax numbers in what Stripe sent, reasons,
    metadata, members, and the account's own ids, which are replaced by one that says nothing. Only
    the schema's owner may: DATABASE_OWNER_URL names its login. It cannot be undone.
    """
    pepper, by = key_pepper(data_dir), acts.at_the_machine(reason)
    async with opened_by_owner(data_dir, command_timeout_s=None) as database:
        erased = await erase_account(database, account_id, by, pepper)
    console.print(
        f"Erased the text of {erased.journals} journals and of {erased.events} events; every "
        f"entry stands. The account is {erased.name} now.",
        highlight=False,
    )
