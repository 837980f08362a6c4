"""`tallybook import`: accounts, their customers and their opening balances, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from app.cli.which_book import acting, key_secret, opened_book
from app.cli.words import DRY_RUN, Because, BookDir, DryRun, console, errors_console
from app.spending.opening_balances import CHUNK_ROWS, SHOWN_MAX, Imported, carry_out, read


async def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    reason: Because,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> int:
    """Open accounts, tie their customers and give their opening balances, from CSV or NDJSON.

    Columns: account_id, amount, reference, source (promotional or purchased), expires_at,
    stripe_customer_id, time_zone, reason. The account and the reference are a line's key: the same
    file again changes nothing, and one that was broken off goes on.
    """
    lines = read(file)
    secret, done = key_secret(data_dir), Imported()
    columns = (*Progress.get_default_columns()[:1], BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=errors_console, transient=True)
    async with opened_book(data_dir) as book:
        with bar:
            task = bar.add_task("Importing", total=len(lines))
            for start in range(0, len(lines), CHUNK_ROWS):
                chunk = lines[start : start + CHUNK_ROWS]
                async with acting(book, dry_run=dry_run):
                    await carry_out(book, chunk, reason, secret, done)
                bar.advance(task, len(chunk))
    for refusal in done.refused[:SHOWN_MAX]:
        console.print(refusal, style="red", markup=False, soft_wrap=True)
    if len(done.refused) > SHOWN_MAX:
        console.print(f"… and {len(done.refused) - SHOWN_MAX:,} more.", style="red")
    console.print(
        f"{len(lines):,} lines: {done.opened:,} accounts opened, {done.granted:,} grants of "
        f"{done.credits:,} credits, {done.stood:,} stood already, {len(done.refused):,} refused.",
        highlight=False,
    )
    if dry_run:
        console.print(DRY_RUN)
    return 1 if done.refused else 0
