"""`tallybook ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.words import AsJson, BookDir, Why, console, errors_console, group, run
from app.commands.why import why

ledger = group("The ledger: check it, export it, rebuild what is derived from it.")


@ledger.command("verify")
def ledger_verify(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """Recompute every balance from entries alone and check every invariant; 1 on a difference."""
    from app.commands.ledger import verify_ledger

    run(verify_ledger(console, errors_console, data_dir, as_json=as_json))


@ledger.command("export")
def ledger_export(
    form: Annotated[Literal["ndjson", "csv"], typer.Option("--format")] = "ndjson",
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file, instead of standard output.")
    ] = None,
    data_dir: BookDir = None,
) -> None:
    """Write every entry, ending in a record of count and SHA-256; progress goes to stderr."""
    from app.commands.ledger import export_ledger

    run(export_ledger(errors_console, form, output, data_dir))


@ledger.command("rebuild")
def ledger_rebuild(
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
) -> None:
    """Set balances, lots and holds to what the entries say, in one transaction.

    After a restore to an earlier moment run it with --after-restore, once, before anybody writes:
    the ids that were handed out since that moment must not name other things.
    """
    from app.commands import ledger as commands

    if after_restore:
        run(commands.after_restore(console, data_dir, why(reason)))
        return
    said = reason if dry_run else why(reason)
    run(commands.rebuild_ledger(console, data_dir, dry_run=dry_run, reason=said, as_json=as_json))


@ledger.command("erase")
def ledger_erase(
    account_id: Annotated[str, typer.Argument(help="The application's or the customer's id.")],
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Erase a person: every entry, total and proof stands; what says who it was goes.

    That is names, addresses, e-mail, telephone and tax numbers in what Stripe sent, reasons,
    metadata, members, and the account's own ids, which are replaced by one that says nothing. Only
    the schema's owner may: DATABASE_OWNER_URL names its login. It cannot be undone.
    """
    from app.commands.erase import erase_account

    run(erase_account(console, account_id, why(reason), data_dir))
