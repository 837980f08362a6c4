"""`tallybook account`: what operators do without curl."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.accounts import names, standing
from app.accounts.names import NameOrder
from app.accounts.view import AccountView, view
from app.audit.accounts import AccountQuery, accounts
from app.audit.explain import Behind, explain
from app.audit.horizon import Horizons
from app.book import Book
from app.cli import account_credits
from app.cli.account_credits import SIDES, AccountArgument, view_within
from app.cli.listing import Change, Listing, by_name, plain, show_json
from app.cli.which_book import acting, opened_book
from app.cli.words import (
    AsJson,
    Because,
    BookDir,
    DryRun,
    command,
    console,
    group,
    parse_instant,
    tell_more,
)
from app.infrastructure import ids
from app.ledger.idempotency import request_key
from app.operators.acts import Operator, at_the_machine

PAGE_ACCOUNTS = 1_000

account = group("One account, by the application's or the customer's id: look, give, correct.")


@command(account, "show")
async def show(
    account_id: AccountArgument, as_json: AsJson = False, data_dir: BookDir = None
) -> None:
    """Show tier, balance and lots."""
    async with opened_book(data_dir) as book:
        one = await view(book, account_id)
    facts, lots = _facts(one), _lots(one)
    if as_json:
        members = {name: plain(value) for name, value in facts.items()}
        show_json(console, {**members, "lots": lots.members()})
        return
    by_name(facts).show(console)
    lots.show(console)


def _facts(one: AccountView) -> dict[str, object]:
    return {
        "account": one.public_id,
        "customer": one.customer_id,
        "tier": one.tier,
        "state": one.state,
        **{side: getattr(one, side) for side in SIDES},
        "next grant (UTC)": one.next_grant_at,
        "time zone": one.time_zone,
        "closed (UTC)": one.closed_at,
        "suspended (UTC)": one.suspended_at,
        "also known as": list(one.aliases),
    }


def _lots(one: AccountView) -> Listing:
    lots = Listing("lot", "source", "free", "held", "ends (UTC)", title="In burn order")
    for lot in one.lots:
        number = ids.public(ids.LOT, lot.number)
        lots.add(number, lot.source, lot.free, lot.held, lot.expires_at)
    return lots


@command(account, "explain")
async def explain_account(
    account_id: AccountArgument,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="As the ledger stood then."),
    ] = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the entries behind what is left of each lot, the newest first."""
    listing = Listing(
        *("entry", "lot", "source", "kind", "change", "recorded (UTC)", "journal", "event"),
        "reason",
        least=("lot", "event", "journal", "reason"),
    )

    def add(behind: Behind, lot: str, source: str) -> None:
        for row in behind.entries:
            listing.add(
                ids.public(ids.ENTRY, row["id"]),
                lot,
                source,
                row["kind"],
                Change(row["change"]),
                row["recorded_at"],
                ids.public(ids.JOURNAL, row["journal_id"]),
                row["event_id"],
                row["reason"],
            )

    async with opened_book(data_dir) as book:
        found = await explain(book.database, Horizons(), account_id, as_of)
    for lot in found.lots:
        add(lot.behind, ids.public(ids.LOT, lot.number), lot.source)
    add(found.owed, "", "debt")
    listing.show(console, as_json=as_json)


@command(account, "list")
async def list_accounts(
    tier: Annotated[str | None, typer.Option(help="Of this tier.")] = None,
    state: Annotated[
        str | None, typer.Option(help="created, active, past_due or canceled.")
    ] = None,
    available_lt: Annotated[int | None, typer.Option(help="With less available.")] = None,
    available_gte: Annotated[int | None, typer.Option(help="With so much available.")] = None,
    debt_gt: Annotated[int | None, typer.Option(help="Owing more.")] = None,
    closed: Annotated[bool | None, typer.Option("--closed/--open", show_default=False)] = None,
    suspended: Annotated[
        bool | None, typer.Option("--suspended/--not-suspended", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List accounts as last posted, in the order in which they were opened."""
    query = AccountQuery(
        tier=tier,
        state=state,
        available_lt=available_lt,
        available_gte=available_gte,
        debt_gt=debt_gt,
        closed=closed,
        suspended=suspended,
    )
    listing = Listing(
        *("account", "customer", "tier", "state", "available", "balance", "closed"),
        least=("closed", "balance", "customer"),
    )
    async with opened_book(data_dir) as book:
        cursor = None
        while len(listing.rows) < limit:
            room = min(limit - len(listing.rows), PAGE_ACCOUNTS)
            page = await accounts(book.database, query, cursor, room)
            for row in page.rows:
                listing.add(
                    row["public_id"],
                    row["customer_id"],
                    row["tier"],
                    row["state"],
                    row["available"],
                    row["free"] + row["held"] - row["debt"],
                    row["closed_at"],
                )
            cursor = page.next_cursor
            if cursor is None:
                break
    listing.show(console, as_json=as_json)
    if cursor is not None:
        tell_more(limit)


command(account, "grant")(account_credits.grant)
command(account, "adjust", context_settings={"ignore_unknown_options": True})(
    account_credits.adjust
)
command(account, "return")(account_credits.return_credits)


@command(account, "rename")
async def rename(
    account_id: AccountArgument,
    to: Annotated[str, typer.Argument(help="The new id; the old one keeps working.")],
    reason: Because,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Give the account another id."""
    await _name("rename", account_id, to, reason, data_dir, dry_run=dry_run)


@command(account, "merge")
async def merge(
    account_id: AccountArgument,
    into: Annotated[str, typer.Argument(help="The account that has everything then.")],
    reason: Because,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Move all that the account has into another; its id then means that one."""
    await _name("merge", account_id, into, reason, data_dir, dry_run=dry_run)


async def _name(
    act: str, account_id: str, to: str, reason: str, data_dir: Path | None, *, dry_run: bool
) -> None:
    by = at_the_machine(reason)
    key = request_key(f"cli:{secrets.token_hex(12)}", "CLI", act, [account_id, to])
    do = names.rename if act == "rename" else names.merge
    async with opened_book(data_dir) as book, acting(book, dry_run=dry_run):
        await do(book, account_id, to, NameOrder(by=by, key=key))
        one = await view_within(book, to)
    would = "A dry run, nothing was changed: " if dry_run else ""
    console.print(
        f"{would}{account_id} is known as {to}: {one.tier}, {one.available:,} available.",
        highlight=False,
    )


@command(account, "suspend")
async def suspend(account_id: AccountArgument, reason: Because, data_dir: BookDir = None) -> None:
    """Let it spend and hold nothing until it is resumed."""
    told = "is suspended: it can spend and hold nothing"
    await _stand(standing.suspend, account_id, reason, data_dir, told)


@command(account, "resume")
async def resume(account_id: AccountArgument, reason: Because, data_dir: BookDir = None) -> None:
    """Let a suspended account spend again."""
    await _stand(standing.resume, account_id, reason, data_dir, "can spend and hold again")


@command(account, "close")
async def close(account_id: AccountArgument, reason: Because, data_dir: BookDir = None) -> None:
    """End its grants; what it has can be spent."""
    told = "is closed: it gets no grants any more"
    await _stand(standing.close, account_id, reason, data_dir, told)


@command(account, "reopen")
async def reopen(account_id: AccountArgument, reason: Because, data_dir: BookDir = None) -> None:
    """Give a closed account its days again."""
    await _stand(standing.reopen, account_id, reason, data_dir, "is open again")


async def _stand(
    act: Callable[[Book, str, Operator], Awaitable[object]],
    account_id: str,
    reason: str,
    data_dir: Path | None,
    told: str,
) -> None:
    async with opened_book(data_dir) as book:
        await act(book, account_id, at_the_machine(reason))
        one = await view(book, account_id)
    console.print(f"{account_id} {told}; {one.available:,} available.", highlight=False)
