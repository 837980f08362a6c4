"""`tallybook tiers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.words import AsJson, BookDir, Why, console, group, run

tiers = group("The catalogue: which price buys which tier.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]


@tiers.command("check")
def tiers_check(file: File, as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """Check a catalogue; with a database, show what it would change. 1 where it is wrong.

    As JSON the file's tiers and packs alone.
    """
    from app.commands.tiers import check_tiers

    run(check_tiers(console, file, data_dir, as_json=as_json))


@tiers.command("show")
def tiers_show(
    version: Annotated[int | None, typer.Option(min=1, help="An earlier one.")] = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Show the catalogue that is applied."""
    from app.commands.tiers import show_tiers

    run(show_tiers(console, version, data_dir, as_json=as_json))


@tiers.command("history")
def tiers_history(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List every catalogue that was applied, and the runs that used it."""
    from app.commands.tiers import list_tiers

    run(list_tiers(console, data_dir, as_json=as_json))


@tiers.command("apply")
def tiers_apply(
    file: File,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would change; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Apply a catalogue: new prices count at once, amounts from each account's next day."""
    from app.commands.tiers import apply_tiers

    run(apply_tiers(console, file, data_dir, reason, dry_run=dry_run, yes=yes))
