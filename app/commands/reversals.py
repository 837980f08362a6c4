"""`tallybook reverse` and `tallybook reversals`: take back, and tell what was taken from whom."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from rich.console import Console

from app.audit import reversals as audit
from app.audit.entries import of_account
from app.audit.horizon import Horizons
from app.audit.reversals import ReversalQuery
from app.book import Book
from app.commands.account import DRY_RUN
from app.commands.book import opened_book
from app.commands.listing import Listing, show_json
from app.errors import JournalUnknownError, RefusedError
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import request_key
from app.operators.acts import at_the_machine
from app.reversals import journal as journals
from app.reversals import preview
from app.reversals import run as runs
from app.reversals.event import reverse_event
from app.reversals.record import ReversalOrder, Reversed, find

RUN_REVERSAL_SECONDS: float = 5.0  # then its progress is told
ACCOUNTS_SHOWN: Final = 50
SUMS: Final = ("requested", "clawed", "held", "shortfall", "expired")


async def reverse(
    console: Console,
    journal_id: str | None,
    event_id: str | None,
    run_id: str | None,
    policy: Policy,
    reason: str,
    data_dir: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """`tallybook reverse`: a journal, what an event did, or a whole run."""
    named = [journal_id, event_id, run_id]
    if named.count(None) != 2:
        raise RefusedError("Name one of --journal, --event and --run.")
    order = ReversalOrder(
        reason=reason,
        policy=policy,
        actor=at_the_machine(reason).actor,
        key=request_key(f"cli:{secrets.token_hex(12)}", "CLI", "reverse", [named, str(policy)]),
    )
    short: list[Record] = []
    async with opened_book(data_dir) as book:
        if journal_id is not None:
            number = ids.number(ids.JOURNAL, journal_id)
            if number is None:
                raise JournalUnknownError(f"{journal_id!r} is no journal's id.")
            done = await journals.reverse_journal(book, number, order, dry_run=dry_run)
        elif event_id is not None:
            done = await reverse_event(book, event_id, order, dry_run=dry_run)
        else:
            done = await _reverse_run(book, run_id or "", order, dry_run=dry_run)
            short = await preview.by_account(
                book.database, done.of_run_id or 0, short=True, after=0, limit=ACCOUNTS_SHOWN + 1
            )
    _tell(console, done, short, as_json=as_json)
    return 0


async def _reverse_run(book: Book, run_id: str, order: ReversalOrder, *, dry_run: bool) -> Reversed:
    number = ids.number(ids.RUN, run_id)
    seconds = RUN_REVERSAL_SECONDS
    done = await runs.reverse_run(book, number, order, dry_run=dry_run, within_s=seconds)
    while done.state == "going" and done.number is not None:
        Console(stderr=True).print(f"{done.journal_count:,} taken back, {done.skipped:,} skipped …")
        await runs.go_on(book, done.number, seconds)
        done = await find(book.database, done.number)
    return done


def _tell(console: Console, done: Reversed, short: list[Record], *, as_json: bool) -> None:
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
        _tell_of_run(console, done, short)
    if done.dry_run:
        console.print(DRY_RUN)
    elif number is not None:
        console.print(f"Reversal {number}.", highlight=False)


def _tell_of_run(console: Console, done: Reversed, short: list[Record]) -> None:
    if short:
        whom = Listing("account", *SUMS, title="Who had spent some of it")
        for row in short[:ACCOUNTS_SHOWN]:
            whom.add(row["public_account_id"], *(row[name] for name in SUMS))
        whom.show(console)
    run_id = ids.public(ids.RUN, done.of_run_id or 0)
    console.print(
        f"{done.journal_count:,} journals, {done.skipped:,} skipped; {done.state}. "
        f"Account by account: tallybook grants taken-back {run_id}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


async def list_reversals(
    console: Console,
    account_id: str | None,
    run_id: str | None,
    limit: int,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """`tallybook reversals`, the newest first."""
    listing = Listing(
        *("reversal", "of", "account", "at (UTC)", *SUMS, "policy", "by", "reason"),
        least=("by", "policy", "expired", "held", "requested", "at (UTC)", "of"),
    )
    async with opened_book(data_dir) as book:
        query = ReversalQuery(
            of_account=await of_account(book.database, account_id),
            run_id=None if run_id is None else ids.number(ids.RUN, run_id) or 0,
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
    return 0


def _thing(row: Record) -> str:
    if row["of_run_id"] is not None:
        return ids.public(ids.RUN, row["of_run_id"])
    if row["of_journal_id"] is not None:
        return ids.public(ids.JOURNAL, row["of_journal_id"])
    return str(row["of_event_id"])


async def list_taken_back(
    console: Console, run_id: str, limit: int, data_dir: Path | None, *, short: bool, as_json: bool
) -> int:
    """`tallybook grants taken-back`: by account, before a reversal of the run and after it."""
    listing = Listing("account", *SUMS, "reversal", "journal", least=("journal",))
    async with opened_book(data_dir) as book:
        page = await audit.taken_back(
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
        Console(stderr=True).print(f"There are more than {limit}: --limit shows them.", style="dim")
    return 0
