"""`tallybook account` and `tallybook reverse`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.words import AsJson, BookDir, console, group, parse_instant, run

account = group("One account, by the application's or the customer's id: look, give, correct.")

AccountId = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Because = Annotated[str, typer.Option("--reason", help="Why; kept for auditors.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do; change nothing.")]
Key = Annotated[
    str | None,
    typer.Option("--key", help="An idempotency key: the act happens once, however often it runs."),
]


@account.command("show")
def account_show(account_id: AccountId, as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """Show tier, balance and lots."""
    from app.commands.account import show

    run(show(console, account_id, data_dir, as_json=as_json))


@account.command("explain")
def account_explain(
    account_id: AccountId,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="As the ledger stood then."),
    ] = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the entries behind what is left of each lot, the newest first."""
    from app.commands.account import explain_account

    run(explain_account(console, account_id, as_of, data_dir, as_json=as_json))


@account.command("list")
def account_list(
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
    from app.audit.accounts import AccountQuery
    from app.commands.account import list_accounts

    query = AccountQuery(
        tier=tier,
        state=state,
        available_lt=available_lt,
        available_gte=available_gte,
        debt_gt=debt_gt,
        closed=closed,
        suspended=suspended,
    )
    run(list_accounts(console, query, limit, data_dir, as_json=as_json))


@account.command("grant")
def account_grant(
    account_id: AccountId,
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
    from app.commands.account import grant, keyed_order
    from app.spending.grants import GrantSource

    source = GrantSource.PURCHASED if purchased else GrantSource.PROMOTIONAL
    order = keyed_order(reason, key, data_dir, "grant", account_id, amount, expires, source)
    run(grant(console, account_id, amount, order, expires, source, data_dir, dry_run=dry_run))


@account.command("adjust", context_settings={"ignore_unknown_options": True})
def account_adjust(
    account_id: AccountId,
    amount: Annotated[int, typer.Argument(help="Signed: -5 takes five, in burn order.")],
    reason: Because,
    key: Key = None,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Correct a balance by hand."""
    from app.commands.account import adjust, keyed_order

    order = keyed_order(reason, key, data_dir, "adjust", account_id, amount)
    run(adjust(console, account_id, amount, order, data_dir, dry_run=dry_run))


@account.command("return")
def account_return(
    account_id: AccountId,
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
    from app.commands.account import keyed_order, return_credits
    from app.commands.book import key_secret
    from app.infrastructure import ids
    from app.ledger.idempotency import key_if_given
    from app.reversals.returns import ReturnOrder

    wanted = ReturnOrder(
        spend=None if spend is None else ids.number(ids.JOURNAL, spend) or 0,
        hold=None if hold is None else ids.number(ids.HOLD, hold) or 0,
        of_key=key_if_given(of_key, key_secret(data_dir)),
        amount=amount,
    )
    order = keyed_order(reason, key, data_dir, "return", account_id, spend, hold, of_key, amount)
    run(return_credits(console, account_id, wanted, order, data_dir, dry_run=dry_run))


@account.command("rename")
def account_rename(
    account_id: AccountId,
    to: Annotated[str, typer.Argument(help="The new id; the old one keeps working.")],
    reason: Because,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Give the account another id."""
    from app.commands.account import name

    run(name(console, "rename", account_id, to, reason, data_dir, dry_run=dry_run))


@account.command("merge")
def account_merge(
    account_id: AccountId,
    into: Annotated[str, typer.Argument(help="The account that has everything then.")],
    reason: Because,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Move all that the account has into another; its id then means that one."""
    from app.commands.account import name

    run(name(console, "merge", account_id, into, reason, data_dir, dry_run=dry_run))


@account.command("suspend")
def account_suspend(account_id: AccountId, reason: Because, data_dir: BookDir = None) -> None:
    """Let it spend and hold nothing until it is resumed."""
    _stand("suspend", account_id, reason, data_dir)


@account.command("resume")
def account_resume(account_id: AccountId, reason: Because, data_dir: BookDir = None) -> None:
    """Let a suspended account spend again."""
    _stand("resume", account_id, reason, data_dir)


@account.command("close")
def account_close(account_id: AccountId, reason: Because, data_dir: BookDir = None) -> None:
    """End its grants; what it has can be spent."""
    _stand("close", account_id, reason, data_dir)


@account.command("reopen")
def account_reopen(account_id: AccountId, reason: Because, data_dir: BookDir = None) -> None:
    """Give a closed account its days again."""
    _stand("reopen", account_id, reason, data_dir)


def _stand(act: str, account_id: str, reason: str, data_dir: BookDir) -> None:
    from app.commands.account import stand

    run(stand(console, act, account_id, reason, data_dir))


def why(
    account_id: AccountId,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A date of the account's own.")
    ] = None,
    month: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m"], metavar="YYYY-MM", help="Or a month.")
    ] = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Say where an account's credits went: today, on a date, or in a month.

    Sentences that close from what there was to what there is, then the acts behind them.
    """
    from app.commands.why_account import tell_why

    first = month and month.date()
    run(tell_why(console, account_id, on and on.date(), first, data_dir, as_json=as_json))


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    reason: Because,
    dry_run: DryRun = False,
    data_dir: BookDir = None,
) -> None:
    """Open accounts, tie their customers and give their opening balances, from CSV or NDJSON.

    Columns: account_id, amount, reference, source (promotional or purchased), expires_at,
    stripe_customer_id, time_zone, reason. The account and the reference are a line's key: the same
    file again changes nothing, and one that was broken off goes on.
    """
    from app.commands.importing import import_file

    run(import_file(console, file, reason, data_dir, dry_run=dry_run))
