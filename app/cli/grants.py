"""`tallybook grants`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from app.cli.words import AsJson, BookDir, Why, console, errors_console, group, run
from app.commands.why import why

RunId = Annotated[str, typer.Argument(metavar="RUN", help="An id such as `list` shows.")]

grants = group("The daily grants: run them, see what they did.")


def parse_date(text: str) -> date:
    """A date such as 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date such as 2026-01-31") from None


@grants.command("run")
def grants_run(
    on: Annotated[
        date | None,
        typer.Option("--on", parser=parse_date, metavar="DATE", help="This date alone."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell by tier what would be granted; change nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="With --on: open the days again that were taken back.")
    ] = False,
    at_once: Annotated[
        int,
        typer.Option(min=1, max=64, help="Chunks side by side while nobody else is at work."),
    ] = 2,
    data_dir: BookDir = None,
    reason: Why = None,
) -> None:
    """Open every account's day that is due; safe at any time, a past day is never opened."""
    from app.commands.grants import plan_grants, run_grants, run_grants_again

    if again:
        if on is None or dry_run:
            raise typer.BadParameter("--again needs --on DATE, and has no dry run.")
        run(run_grants_again(console, errors_console, on, data_dir, why(reason)))
    elif dry_run:
        run(plan_grants(console, on, data_dir))
    else:
        run(run_grants(console, errors_console, on, data_dir, why(reason), at_once))


@grants.command("list")
def grants_list(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the runs, the newest first, and what was taken back of each."""
    from app.commands.grants import list_runs

    run(list_runs(console, limit, data_dir, as_json=as_json))


@grants.command("show")
def grants_show(run_id: RunId, as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """Show a run: what it did, whom it skipped and why, which past days were not opened."""
    from app.commands.grants import show_run

    run(show_run(console, run_id, data_dir, as_json=as_json))


@grants.command("taken-back")
def grants_taken_back(
    run_id: RunId,
    short: Annotated[
        bool, typer.Option("--short", help="Only accounts that had spent some of it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The first so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Tell by account what was taken back of a run, or what `tallybook reverse` would take."""
    from app.commands.reversals import list_taken_back

    run(list_taken_back(console, run_id, limit, data_dir, short=short, as_json=as_json))
