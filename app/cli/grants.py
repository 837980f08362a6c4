"""`tallybook grants`: run what is due, plan it, list the runs, show one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from app.audit import life_cycle
from app.audit.horizon import Horizons
from app.audit.reversals import taken_back
from app.book import Book
from app.cli.listing import Listing, by_name, plain, show_json
from app.cli.reversals import SUMS
from app.cli.which_book import database_url, opened_book
from app.cli.words import AsJson, BookDir, Why, command, console, errors_console, group, tell_more
from app.infrastructure import ids
from app.infrastructure.db import Database, Record, opened
from app.operators.acts import Operator, at_the_machine
from app.reversals.run_again import run_again
from app.runs.plan import PlannedRun, plan
from app.runs.run import Ticked, run_due
from app.runs.run_row import runs_going, runs_of

STARTED_BY: Final = "tallybook grants run"
NUDGE_S: Final = 60.0  # each counts all that is due, which takes every core for a moment
SHOWN_EVERY_S: Final = 1.0
PAUSE_S: Final = 0.05


SKIPPED: Final = {
    "opened by use": "skipped_by_use",
    "closed": "skipped_closed",
    "dormant": "skipped_dormant",
    "day over": "skipped_day_over",
}

Nudging = Callable[[Book, Operator | None], Coroutine[Any, Any, Ticked]]

RunId = Annotated[str, typer.Argument(metavar="RUN", help="An id such as `list` shows.")]

grants = group("The daily grants: run them, see what they did.")


def parse_date(text: str) -> date:
    """A date such as 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date such as 2026-01-31") from None


@command(grants, "run", asks=True)
async def run_grants(
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
) -> int:
    """Open every account's day that is due; safe at any time, a past day is never opened."""
    if again and (on is None or dry_run):
        raise typer.BadParameter("--again needs --on DATE, and has no dry run.")
    if dry_run:
        return await _plan(on, data_dir)

    async def nudge(book: Book, by: Operator | None) -> Ticked:
        if again and on is not None:
            return await run_again(book, on, STARTED_BY, NUDGE_S, by)
        return await run_due(book.database, book.catalogues, STARTED_BY, NUDGE_S, on, by, at_once)

    return await _run(nudge, data_dir, reason, 1 if again else at_once)


async def _run(nudge: Nudging, data_dir: Path | None, reason: str | None, at_once: int) -> int:
    """Nudge until all is done; 1 if an account failed."""
    async with opened(database_url(data_dir), at_once + 2) as database:
        book, run_ids = Book(database), set[ids.RunNumber]()
        by: Operator | None = at_the_machine(reason)
        with _Progress() as progress:
            done = False
            while not done:
                ticked = await progress.watch(database, nudge(book, by))
                by = None  # one act, however often it is gone on with
                run_ids |= set(ticked.run_ids)
                rows = await runs_of(database, run_ids)
                progress.show(rows)
                done = ticked.done
                if not done:
                    await asyncio.sleep(PAUSE_S)  # another nudge may be at work on what is left
    if rows:
        _runs(rows).show(console)
    else:
        console.print("Nothing was due.")
    return 1 if any(row["failed"] for row in rows) else 0


class _Progress:
    """A bar for each run, from the counters in its row; nothing where nobody watches."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        watched = errors_console.is_terminal
        self._bars = Progress(*columns, console=errors_console, disable=not watched, transient=True)
        self._tasks: dict[ids.RunNumber, TaskID] = {}

    def __enter__(self) -> _Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    async def watch(self, database: Database, nudging: Coroutine[Any, Any, Ticked]) -> Ticked:
        """Show how far the runs are until the nudge comes to its end."""
        if self._bars.disable:
            return await nudging
        nudged = asyncio.create_task(nudging)
        try:
            while not (await asyncio.wait([nudged], timeout=SHOWN_EVERY_S))[0]:
                self.show(await runs_going(database))
        finally:
            nudged.cancel()  # what has come to its end stays as it is
            await asyncio.wait([nudged])
        return nudged.result()

    def show(self, rows: Iterable[Record]) -> None:
        for row in rows:
            if row["id"] not in self._tasks:
                wave = f"{row['day_on']} from {row['wave_at']:%Y-%m-%d %H:%M} UTC"
                self._tasks[row["id"]] = self._bars.add_task(wave)
            self._bars.update(
                self._tasks[row["id"]], total=row["expected"],
                completed=row["issued"] + row["skipped"] + row["failed"],
            )  # fmt: skip


async def _plan(on: date | None, data_dir: Path | None) -> int:
    async with opened(database_url(data_dir)) as database:
        planned = await plan(database, Book(database).catalogues, on)
    if not planned:
        console.print("Nothing is due.")
        return 0
    names = ("day", "starts at (UTC)", "tier", "accounts", "issued", "expired", "carried over")
    listing = Listing(*names)
    for one in planned:
        for tier in one.tiers:
            amounts = (tier.issued_credits, tier.expired_credits, tier.carried_credits)
            listing.add(one.day_on, one.wave_at, tier.tier, tier.accounts, *amounts)
    listing.show(console)
    for one in planned:
        console.print(_skipped_of(one), markup=False)
    console.print("A dry run: nothing was written.")
    return 0


def _skipped_of(one: PlannedRun) -> str:
    return (
        f"{one.day_on}, {len(one.zones)} zones: {one.closed} closed and {one.dormant} dormant "
        f"accounts would be skipped; {one.not_opened} past account-days are not opened."
    )


@command(grants, "list")
async def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the runs, the newest first, and what was taken back of each."""
    async with opened(database_url(data_dir)) as database:
        page = await life_cycle.runs(database, Horizons(), None, limit, "desc")
    _runs(page.rows).show(console, as_json=as_json)


@command(grants, "show")
async def show_run(run_id: RunId, as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """Show a run: its counts, the accounts that it skipped, and the past days not opened."""
    async with opened(database_url(data_dir)) as database:
        row = await life_cycle.run(database, ids.number(ids.RUN, run_id), run_id)
    told = _runs([row])
    not_opened = orjson.loads(row["not_opened_dates"])
    whole = dict(zip(told.columns, told.rows[0], strict=True)) | _more(row)
    if as_json:
        shown = {name: plain(value) for name, value in whole.items()}
        show_json(console, shown | {"not opened on": not_opened})
        return
    by_name(whole).show(console)
    if not_opened:
        listing = Listing("zone", "past day", "accounts", title="Not opened")
        for one in not_opened:
            listing.add(one["time_zone"], one["on"], one["accounts"])
        listing.show(console)


def _more(row: Record) -> dict[str, object]:
    """Return the details that the list has no room for."""
    return {
        "started (UTC)": row["started_at"],
        "started by": row["started_by"],
        "catalogue": row["catalogue_id"],
        "worked on for": f"{row['took_ms'] / 1000:.1f} s",
        **{f"skipped, {name}": row[column] for name, column in SKIPPED.items()},
        "taken back by": row["reversal_id"] and ids.public(ids.REVERSAL, row["reversal_id"]),
        "opening": row["opening"],
    }


def _runs(rows: Iterable[Record]) -> Listing:
    """Runs, one a row; what was taken back of one, and what of that had been spent."""
    listing = Listing(
        *("run", "day", "from (UTC)", "state", "expected", "issued", "credits", "taken back"),
        *("short", "expired", "skipped", "failed", "not opened"),
        least=("from (UTC)", "expired", "skipped", "expected"),
    )
    for row in rows:
        taken = row["reversal_id"] is not None
        listing.add(
            ids.public(ids.RUN, row["id"]),
            row["day_on"],
            row["wave_at"],
            row["state"],
            row["expected"],
            row["issued"],
            row["issued_credits"],
            row["clawed_credits"] if taken else None,
            row["short_credits"] if taken else None,
            row["expired_credits"] or None,
            row["skipped"] or None,
            row["failed"] or None,
            row["not_opened"] or None,
        )
    return listing


@command(grants, "taken-back")
async def list_taken_back(
    run_id: RunId,
    short: Annotated[
        bool, typer.Option("--short", help="Only accounts that had spent some of it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The first so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List by account the credits taken back of a run, or what `tallybook reverse` would take."""
    listing = Listing("account", *SUMS, "reversal", "journal", least=("journal",))
    async with opened_book(data_dir) as book:
        page = await taken_back(
            book.database, ids.number(ids.RUN, run_id), run_id, short=short, cursor=None,
            limit=limit,
        )  # fmt: skip
    for row in page.rows:
        listing.add(
            row["public_account_id"],
            *(row[name] for name in SUMS),
            row["reversal_id"] and ids.public(ids.REVERSAL, row["reversal_id"]),
            ids.public(ids.JOURNAL, row["journal_id"]),
        )
    listing.show(console, as_json=as_json)
    if page.next_cursor is not None:
        tell_more(limit)
