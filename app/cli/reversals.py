"""`tallybook reverse` takes a mistake back, and `tallybook reversals` lists what was taken back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.audit import reversals as audit
from app.audit.entries import of_account
from app.audit.horizon import Horizons
from app.audit.reversals import ReversalQuery
from app.book import Book
from app.cli.listing import Listing, show_json
from app.cli.which_book import opened_book
from app.cli.words import DRY_RUN, AsJson, Because, BookDir, DryRun, console, errors_console
from app.errors import JournalUnknownError, RefusedError
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.infrastructure.ids import RunNumber
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import request_key
from app.operators.acts import at_the_machine
from app.reversals import journal as journals
from app.reversals import preview
from app.reversals import run as runs
from app.reversals.event import reverse_event
from app.reversals.record import ReversalOrder, Reversed, find

if TYPE_CHECKING:
    from app.audit.row_types import ReversalsUp


RUN_REVERSAL_SECONDS: float = 5.0  # then its progress is told
ACCOUNTS_SHOWN: Final = 50
SUMS: Final = ("requested", "clawed", "held", "shortfall", "expired")


async def reverse(
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
    if shortfall not in set(Policy):
        raise typer.BadParameter(f"{shortfall} is none of {', '.join(Policy)}.")
    named = [journal, event, run_id]
    if named.count(None) != 2:
        raise RefusedError("Name one of --journal, --event and --run.")
    order = ReversalOrder(
        reason=reason,
        policy=Policy(shortfall),
        actor=at_the_machine(reason).actor,
        key=request_key(f"cli:{secrets.token_hex(12)}", "CLI", "reverse", [named, shortfall]),
    )
    short: list[Record] = []
    async with opened_book(data_dir) as book:
        if journal is not None:
            number = ids.number(ids.JOURNAL, journal)
            if number is None:
                raise JournalUnknownError(f"{journal!r} is no journal's id.")
            done = await journals.reverse_journal(book, number, order, dry_run=dry_run)
        elif event is not None:
            done = await reverse_event(book, event, order, dry_run=dry_run)
        else:
            done = await _reverse_run(book, run_id or "", order, dry_run=dry_run)
            assert done.of_run_id is not None
            short = await preview.by_account(
                book.database, done.of_run_id, short=True, after=0, limit=ACCOUNTS_SHOWN + 1
            )
    _tell(done, short, as_json=as_json)


async def _reverse_run(book: Book, run_id: str, order: ReversalOrder, *, dry_run: bool) -> Reversed:
    number = ids.number(ids.RUN, run_id)
    seconds = RUN_REVERSAL_SECONDS
    done = await runs.reverse_run(book, number, order, dry_run=dry_run, within_s=seconds)
    while done.state == "going" and done.number is not None:
        errors_console.print(f"{done.journal_count:,} taken back, {done.skipped:,} skipped …")
        await runs.go_on(book, done.number, seconds)
        done = await find(book.database, done.number)
    return done


def _tell(done: Reversed, short: list[Record], *, as_json: bool) -> None:
    number = None if done.number is None else ids.public(ids.REVERSAL, done.number)
    sums = {name: getattr(done, name) for name in (*SUMS, "carried")}
    if as_json:
        more = {"reversal": number, "journals": done.journal_count, "skipped": done.skipped}
        show_json(console, {**more, "state": done.state, "dry_run": done.dry_run, **sums})
        return
    listing = Listing("", "credits")
    for name, credits in sums.items():
        listing.add(name, credits)
    listing.show(console)
    if done.of_run_id is not None:
        _tell_of_run(done, done.of_run_id, short)
    if done.dry_run:
        console.print(DRY_RUN)
    elif number is not None:
        console.print(f"Reversal {number}.", highlight=False)


def _tell_of_run(done: Reversed, number: RunNumber, short: list[Record]) -> None:
    if short:
        whom = Listing("account", *SUMS, title="Who had spent some of it")
        for row in short[:ACCOUNTS_SHOWN]:
            whom.add(row["public_account_id"], *(row[name] for name in SUMS))
        whom.show(console)
    run_id = ids.public(ids.RUN, number)
    console.print(
        f"{done.journal_count:,} journals, {done.skipped:,} skipped; {done.state}. "
        f"Account by account: tallybook grants taken-back {run_id}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


async def list_reversals(
    account: Annotated[
        str | None, typer.Option(help="What was taken from this account or given back to it.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="The reversal of this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the reversals, with time, operator, reason and shortfall."""
    listing = Listing(
        *("reversal", "of", "account", "at (UTC)", *SUMS, "policy", "by", "reason"),
        least=("by", "policy", "expired", "held", "requested", "at (UTC)", "of"),
    )
    async with opened_book(data_dir) as book:
        query = ReversalQuery(
            of_account=await of_account(book.database, account),
            run_id=None if run_id is None else ids.row_number(ids.RUN, run_id),
            order="desc",
        )
        page = await audit.reversals(book.database, Horizons(), query, None, limit)
    for row in page.rows:
        listing.add(
            ids.public(ids.REVERSAL, row["id"]),
            _thing(row),
            row["public_account_id"] or f"{row['journal_count']:,} accounts",
            row["created_at"],
            *(row[name] for name in SUMS),
            row["policy"],
            row["actor"],
            row["reason"],
        )
    listing.show(console, as_json=as_json)


def _thing(row: ReversalsUp) -> str:
    if row["of_run_id"] is not None:
        return ids.public(ids.RUN, row["of_run_id"])
    if row["of_journal_id"] is not None:
        return ids.public(ids.JOURNAL, row["of_journal_id"])
    return str(row["of_event_id"])
