"""`tallybook tiers`: check, show and apply the catalogue, and list those that were applied."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from rich.prompt import Confirm

from app.accounts import apply_catalogue
from app.allowance import catalogues
from app.allowance.catalogue import Catalogue, CatalogueError, diff, parse
from app.book import Book
from app.cli.listing import Change, Listing, show_json
from app.cli.which_book import database_url, opened_by_owner, running_folder
from app.cli.words import AsJson, BookDir, Why, ask_reason, command, console, group
from app.errors import ConfigurationError
from app.infrastructure.db import Database, opened
from app.infrastructure.variables import read_variable
from app.operators.acts import at_the_machine
from app.runs.catalogue_preview import Moves, Preview, preview
from app.tables.clock_and_catalogues import Catalogues

NOT_APPLIED = "No catalogue is applied; run `tallybook tiers apply FILE`."

tiers = group("The catalogue: which price buys which tier.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]


@command(tiers, "check")
async def check_tiers(file: File, as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """Check a catalogue; with a database, show what it would change. 1 where it is wrong.

    As JSON the file's tiers and packs alone.
    """
    wanted = parse(await _read(file), str(file))
    if as_json:
        _show_as_json(wanted)
        return
    _catalogue(wanted, f"{file} is a good catalogue").show(console)
    if wanted.packs:
        _packs(wanted).show(console)
    folder = running_folder(data_dir)
    if folder is None and read_variable(os.environ, "DATABASE_URL") is None:
        console.print("No DATABASE_URL and no book that runs here: only the file was checked.")
        return
    try:
        async with opened(database_url(folder)) as database:
            await _compare(database, wanted)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        console.print(f"The database does not answer ({error}): only the file was checked.")


def _show_as_json(catalogue: Catalogue) -> None:
    told = {"tiers": _catalogue(catalogue).members(), "packs": _packs(catalogue).members()}
    show_json(console, told)


@command(tiers, "show")
async def show_tiers(
    version: Annotated[int | None, typer.Option(min=1, help="An earlier one.")] = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Show the catalogue that is applied."""
    async with opened(database_url(data_dir)) as database:
        newest_first = Catalogues.select().order_by(Catalogues.id, ascending=False)
        wanted = newest_first if version is None else newest_first.where(Catalogues.id == version)
        row = await database.run(wanted.first())
    if row is None:
        raise ConfigurationError(NOT_APPLIED if version is None else f"No catalogue is {version}.")
    if as_json:
        _show_as_json(parse(row["content"], "the catalogue"))
        return
    console.print(f"# catalogue {row['id']}, applied {row['applied_at']:%Y-%m-%d %H:%M} UTC")
    console.print(row["content"], markup=False, highlight=False, soft_wrap=True)


@command(tiers, "history")
async def list_tiers(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List every catalogue that was applied, and the runs that used it."""
    async with opened(database_url(data_dir)) as database:
        rows = await database.fetch(
            """SELECT catalogues.id, applied_at, applied_by, count(runs.id) AS run_count,
                      min(runs.day_on) AS first_on, max(runs.day_on) AS last_on
                 FROM catalogues LEFT JOIN runs ON runs.catalogue_id = catalogues.id
                GROUP BY catalogues.id ORDER BY catalogues.id DESC"""
        )
    listing = Listing("catalogue", "applied (UTC)", "by", "runs", "of the days")
    for row in rows:
        days = f"{row['first_on']} to {row['last_on']}" if row["run_count"] else ""
        listing.add(row["id"], row["applied_at"], row["applied_by"], row["run_count"], days)
    listing.show(console, as_json=as_json)


@command(tiers, "apply")
async def apply_tiers(
    file: File,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would change; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Why = None,
    data_dir: BookDir = None,
) -> int:
    """Apply a catalogue: new prices count at once, amounts from each account's next day.

    A person at a terminal is asked first; without a terminal what changes anything takes --yes.
    """
    content = await _read(file)
    wanted = parse(content, str(file))
    async with opened_by_owner(data_dir) as database:
        changes = await _compare(database, wanted)
        if dry_run:
            console.print("A dry run: nothing was applied.")
            return 0
        asks = sys.stdin.isatty()
        if not yes and changes and not asks:
            console.print("Nothing was applied: without a terminal say --yes.")
            return 1
        if not yes and asks and not await asyncio.to_thread(_agreed):
            console.print("Nothing was applied.")
            return 1
        said = reason if yes else await asyncio.to_thread(ask_reason, reason)
        number = await apply_catalogue.apply(
            Book(database), content, str(file), "tallybook tiers", at_the_machine(said)
        )
    console.print(f"Catalogue {number} is in force.")
    return 0


def _agreed() -> bool:
    return Confirm.ask("Apply it?", console=console, default=False)


async def _read(file: Path) -> str:
    try:
        return await asyncio.to_thread(file.read_text, encoding="utf-8")
    except UnicodeDecodeError as error:
        problem = f"{file}: byte {error.start} is no UTF-8; save the file as UTF-8"
        raise CatalogueError([problem]) from None


async def _compare(database: Database, wanted: Catalogue) -> bool:
    """Print the difference from the catalogue in force, and its effect; whether there is any."""
    before = await catalogues.newest(database)
    if before is None:
        console.print("No catalogue is applied yet.")
        return False
    present = parse(before.content, "the catalogue in force")
    lines = diff(present, wanted)
    console.print("Changes:" if lines else "It says what the catalogue in force says.")
    for line in lines:
        console.print(f"  {line}", markup=False, highlight=False)
    if lines:
        _print_preview(await preview(database, before, wanted))
    return bool(lines)


def _print_preview(found: Preview) -> None:
    _moves(found.next_day, "The customers, from each account's next day").show(console)
    if any(move.before != move.after for move in found.today.moves):
        _moves(found.today, "The customers, in the day that is running").show(console)
    for price in found.prices:
        what = "becomes known" if price.known else "becomes unknown: it gives nothing any more"
        console.print(f"  price {price.price} of {price.subscriptions:,} subscriptions {what}")
    console.print(
        f"Today {found.today.more:,} accounts get more and {found.today.less:,} less; from each"
        f" account's next day {found.next_day.more:,} get more a day and {found.next_day.less:,}"
        " less.",
        soft_wrap=True,
    )


def _moves(found: Moves, title: str) -> Listing:
    columns = ("tier now", "tier then", "accounts", "credits now", "then", "all of them", "such as")
    listing = Listing(*columns, title=title, least=("such as",))
    for move in found.moves:
        each = move.credits_after - move.credits_before
        listing.add(
            move.before,
            move.after,
            move.accounts,
            move.credits_before,
            move.credits_after,
            Change(each * move.accounts),
            move.examples,
        )
    return listing


def _catalogue(catalogue: Catalogue, title: str | None = None) -> Listing:
    listing = Listing(
        *("tier", "credits a day", "grace days", "carried over", "trial grants", "prices"),
        title=title,
    )
    for tier in catalogue.tiers:
        listing.add(
            tier.name,
            tier.daily_credits,
            tier.past_due_grace_days,
            tier.carry_over_max,
            tier.trial_grants,
            tier.prices,
        )
    return listing


def _packs(catalogue: Catalogue) -> Listing:
    listing = Listing("pack", "credits", "expires after days", "prices")
    for pack in catalogue.packs:
        listing.add(pack.name, pack.credits, pack.expires_days, pack.prices)
    return listing
