"""The commands of `tallybook account` that move credits: grant, adjust, return."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from app.accounts.open import require
from app.accounts.view import AccountView, view_of_account
from app.book import Book
from app.cli.listing import Listing
from app.cli.which_book import acting, key_secret, opened_book
from app.cli.words import DRY_RUN, Because, BookDir, DryRun, console, parse_instant
from app.errors import RefusedError
from app.infrastructure import ids
from app.ledger.idempotency import key_if_given, request_key
from app.operators.acts import at_the_machine
from app.reversals.returns import ReturnOrder, give_back
from app.spending import corrections
from app.spending.grants import GrantOrder, GrantSource, grant_many
from app.spending.keyed import Done, Order

SIDES: Final = ("available", "balance", "free", "held", "debt")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Key = Annotated[
    str | None,
    typer.Option("--key", help="An idempotency key: the act happens once, however often it runs."),
]


async def grant(
    account_id: AccountArgument,
    amount: Annotated[int, typer.Argument(min=1, max=10**12, help="Whole credits.")],
    reason: Because,
    expires: Annotated[
        datetime | None,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="When they end; else never."),
    ] = None,
    purchased: Annotated[
        bool, typer.Option("--purchased", help="They were paid for elsewhere.")
    ] = False,
    key: Key = None,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Give credits: a gift, unless they were paid for."""
    source = GrantSource.PURCHASED if purchased else GrantSource.PROMOTIONAL
    order = _order(reason, key, data_dir, "grant", account_id, amount, expires, source)

    async def act(book: Book) -> Done:
        wanted = GrantOrder(
            account_id=account_id, amount=amount, order=order, source=source, expires_at=expires
        )
        (result,) = await grant_many(book, [wanted])
        if isinstance(result, Done):
            return result
        raise result

    await _move(account_id, data_dir, act, dry_run=dry_run)


async def adjust(
    account_id: AccountArgument,
    amount: Annotated[int, typer.Argument(help="Signed: -5 takes five, in burn order.")],
    reason: Because,
    key: Key = None,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Correct a balance by hand."""
    if amount == 0:
        raise RefusedError("An adjustment by 0 changes nothing.")
    order = _order(reason, key, data_dir, "adjust", account_id, amount)

    async def act(book: Book) -> Done:
        return await corrections.adjust(book, account_id, amount, order)

    await _move(account_id, data_dir, act, dry_run=dry_run)


async def return_credits(
    account_id: AccountArgument,
    reason: Because,
    spend: Annotated[str | None, typer.Option(help="The spend's id, jrn_….")] = None,
    hold: Annotated[str | None, typer.Option(help="The hold whose captures come back.")] = None,
    of_key: Annotated[str | None, typer.Option(help="The spend's idempotency key.")] = None,
    amount: Annotated[
        int | None, typer.Option(min=1, help="So much; else all that is left.")
    ] = None,
    key: Key = None,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Return a spend, or part of it, to the lots that it came from."""
    if [spend, hold, of_key].count(None) != 2:
        raise RefusedError("Name one of --spend, --hold and --of-key.")
    wanted = ReturnOrder(
        spend=None if spend is None else ids.row_number(ids.JOURNAL, spend),
        hold=None if hold is None else ids.row_number(ids.HOLD, hold),
        of_key=key_if_given(of_key, key_secret(data_dir)),
        amount=amount,
    )
    order = _order(reason, key, data_dir, "return", account_id, spend, hold, of_key, amount)

    async def act(book: Book) -> Done:
        return await give_back(book, account_id, wanted, order)

    await _move(account_id, data_dir, act, dry_run=dry_run)


def _order(reason: str, key: str | None, data_dir: Path | None, *asked: object) -> Order:
    """The order of the person at the machine; without a key of theirs under one of its own."""
    name = key or f"cli:{secrets.token_hex(12)}"
    by = at_the_machine(reason)
    told = [str(one) for one in asked]
    secret = key_secret(data_dir) if key else b""
    asked_under = request_key(name, "CLI", "account", told, secret)
    return Order(actor=by.actor, key=asked_under, reason=by.reason)


async def _move(
    account_id: str,
    data_dir: Path | None,
    act: Callable[[Book], Awaitable[Done]],
    *,
    dry_run: bool,
) -> None:
    """Do an act that moves credits, and tell what it made of the account."""
    async with opened_book(data_dir) as book, acting(book, dry_run=dry_run):
        before = await view_within(book, account_id)
        done = await act(book)
        after = await view_within(book, account_id)
    told = Listing("credits", "before", "after")
    for name in SIDES:
        told.add(name, getattr(before, name), getattr(after, name))
    told.show(console)
    if dry_run:
        console.print(DRY_RUN)
    else:
        again = " (an earlier call under this key made it)" if done.replayed else ""
        number = ids.public(ids.JOURNAL, done.journal_id)
        console.print(f"Journal {number}{again}.", highlight=False)


async def view_within(book: Book, account_id: str) -> AccountView:
    """As `view`, within the transaction of a dry run too."""
    return await view_of_account(book, await require(book, account_id))
