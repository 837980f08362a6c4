"""`tallybook reverse` and `tallybook reversals`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.account import Because, DryRun
from app.cli.words import AsJson, BookDir, console, run


def reverse(
    reason: Because,
    journal: Annotated[str | None, typer.Option(help="A journal, jrn_….")] = None,
    event: Annotated[str | None, typer.Option(help="What an event did to a purchase.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="A whole daily run, run_….")] = None,
    shortfall: Annotated[
        str, typer.Option(help="What becomes of what was spent: write_off, debt or reject.")
    ] = "write_off",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Take back a mistake by entries that run against it; nothing is edited. Once: again changes
    nothing.
    """
    from app.commands.reversals import reverse as command
    from app.ledger.clawbacks import Policy

    if shortfall not in set(Policy):
        raise typer.BadParameter(f"{shortfall} is none of {', '.join(Policy)}.")
    policy, named = Policy(shortfall), (journal, event, run_id)
    run(command(console, *named, policy, reason, data_dir, dry_run=dry_run, as_json=as_json))


def reversals(
    account: Annotated[
        str | None, typer.Option(help="What was taken from this account or given back to it.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="The reversal of this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List what was taken back: when, by whom, why, and what fell short."""
    from app.commands.reversals import list_reversals

    run(list_reversals(console, account, run_id, limit, data_dir, as_json=as_json))
