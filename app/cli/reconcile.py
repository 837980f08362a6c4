"""`tallybook reconcile`: compare with Stripe, and mend what differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.book import Book
from app.cli.listing import Listing, show_json
from app.cli.which_book import opened_book
from app.cli.words import AsJson, BookDir, Why, console, errors_console
from app.errors import StripeNotConfiguredError
from app.infrastructure import clock
from app.operators.acts import at_the_machine
from app.reconcile import store
from app.reconcile.reconcile import Reconciler
from app.reconcile.store import Finding, Part, Reconciliation

SHOWN_MAX: Final = 500  # findings of one table; the counts tell of all

_DOING: Final = {
    Part.EVENTS: "Fetching the events that Stripe could not deliver",
    Part.MONEY: "Comparing what was paid and what went back",
    Part.LISTED: "Comparing the subscriptions that Stripe lists",
    Part.UNLISTED: "Asking for those that it does not list",
    Part.DONE: "Done",
}


async def reconcile(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the drift and mend nothing.")
    ] = False,
    since: Annotated[
        int, typer.Option(min=1, max=30, metavar="DAYS", help="How far back events are fetched.")
    ] = 30,
    reason: Why = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> int:
    """Fetch the events that Stripe could not deliver, and compare subscriptions and payments.

    What differs is mended through the same door as a webhook. The exit code is 1 where something
    stays unmended, and with --dry-run where anything was found. Needs STRIPE_API_KEY.
    """
    by = at_the_machine(reason)
    shown: list[Finding] = []
    async with opened_book(data_dir) as book:
        if book.stripe is None:
            raise StripeNotConfiguredError(
                "STRIPE_API_KEY is not set: without it Stripe cannot be asked."
            )
        start = await clock.now(book.database) - timedelta(days=since)
        one = await store.begin(book.database, by, start, dry_run=dry_run)
        await _run(book, one, shown)
    if as_json:
        told = msgspec.to_builtins(one.counts)
        drift = _drift(one, shown).members()
        show_json(console, {**told, "dry_run": dry_run, "notes": one.notes, "drift": drift})
    else:
        _print(one, shown)
    return 1 if one.counts.unmended or one.counts.not_compared else 0


async def _run(book: Book, one: Reconciliation, shown: list[Finding]) -> None:
    assert book.stripe is not None
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=errors_console, transient=True) as progress:
        task = progress.add_task(_DOING[one.part])

        def tell(finding: Finding) -> None:
            if len(shown) < SHOWN_MAX:
                shown.append(finding)

        def watch() -> None:
            counts = one.counts
            progress.update(
                task,
                description=f"{_DOING[one.part]}: {counts.events_taken:,} events, "
                f"{counts.payments + counts.compared:,} compared, {counts.mended:,} mended",
            )

        await Reconciler(book, book.stripe, one, tell, watch=watch).run()


def _drift(one: Reconciliation, shown: list[Finding]) -> Listing:
    title = "The drift; nothing was mended" if one.dry_run else "The drift"
    listing = Listing("object", "ours → Stripe's", "outcome", "note", title=title)
    for finding in shown:
        listing.add(finding.thing, finding.what, str(finding.outcome), finding.note)
    return listing


def _print(one: Reconciliation, shown: list[Finding]) -> None:
    counts = one.counts
    if shown:
        _drift(one, shown).show(console)
    found = counts.mended + counts.waiting + counts.unmended
    if found > len(shown):
        console.print(f"… and {found - len(shown):,} more.")
    for note in one.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    unmended = "found, nothing was mended" if one.dry_run else "not mended"
    console.print(
        f"{counts.events_taken:,} undelivered events, {counts.payments:,} payments and "
        f"{counts.compared:,} subscriptions compared: "
        f"{counts.mended:,} mended, {counts.waiting:,} waiting, {counts.unmended:,} {unmended}.",
        soft_wrap=True,
    )
