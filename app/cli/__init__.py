"""The command line: each command translates its words and calls one use case."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from app.cli.account import account, import_
from app.cli.account import why as why_account
from app.cli.book import book as book_commands
from app.cli.events import events
from app.cli.grants import grants
from app.cli.keys import keys
from app.cli.ledger import ledger
from app.cli.reversals import reversals, reverse
from app.cli.seals import evidence, seal
from app.cli.simulate import EXAMPLES, simulate
from app.cli.tiers import tiers
from app.cli.webhooks import webhooks
from app.cli.words import (
    AsJson,
    BookDir,
    Clock,
    DataDir,
    Port,
    TiersFile,
    Why,
    console,
    refusals,
    run,
    say_all,
)
from app.commands.why import why

app = typer.Typer(
    name="tallybook",
    help="Credits for Stripe subscriptions, on an append-only ledger. To begin: `tallybook demo`.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    rich_markup_mode="markdown",
)


def _print_version(asked: bool) -> None:
    if asked:
        console.print(f"tallybook {metadata.version('tallybook')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log to standard error what a command does.")
    ] = False,
    book: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The book to work on, of those of `book list`."),
    ] = None,
) -> None:
    """Credits for Stripe subscriptions, on an append-only ledger. To begin: `tallybook demo`."""
    say_all(verbose=verbose)
    if book is not None:
        with refusals():
            _work_on(book)


def _work_on(book: str) -> None:
    """Let this process be that of one book."""
    from app.infrastructure.books import environment_of

    variables = environment_of(book, os.environ)
    os.environ.clear()
    os.environ.update(variables)


app.add_typer(account, name="account")
app.add_typer(book_commands, name="book")
app.add_typer(keys, name="keys")
app.add_typer(tiers, name="tiers")
app.add_typer(grants, name="grants")
app.add_typer(events, name="events")
app.add_typer(ledger, name="ledger")
app.add_typer(seal, name="seal")
app.add_typer(evidence, name="evidence")
app.add_typer(webhooks, name="webhooks")


@app.command()
def up(
    port: Port = 8787,
    data_dir: DataDir = Path(".tallybook"),
    tiers: TiersFile = None,
    clock: Clock = None,
) -> None:
    """Run PostgreSQL, Redis, the server and a worker, all of them on this machine.

    Once ready it writes `dev.json` into the data folder: addresses, secrets, API keys.
    """
    from app.embedded.up import up as start

    run(start(port=port, data_dir=data_dir, tiers=tiers, clock=clock, announce=console))


@app.command()
def env(data_dir: BookDir = None) -> None:
    """Print a running book's addresses, secrets and keys for the shell: `eval "$(tallybook env)"`.

    Then `curl "$BASE_URL/api/v1/accounts" -H "Authorization: Bearer $SERVICE_KEY"` works, and psql
    by `$DATABASE_URL`.
    """
    from app.commands.environment import print_environment

    with refusals():
        print_environment(console, data_dir)


@app.command()
def demo(port: Port = 8787, data_dir: DataDir = Path(".tallybook-demo")) -> None:
    """Like `up`, and play the sample tape: some customers over some weeks, by signed webhooks.

    Its book stands in a folder of its own, since its time is not the world's.
    With DEMO_EXIT=1 it ends after the tape; its exit code tells whether the result was right.
    """
    from app.demo import play_and_stay

    leave = os.environ.get("DEMO_EXIT", "") not in ("", "0")
    run(play_and_stay(port=port, data_dir=data_dir, console=console, leave=leave))


app.command("reverse")(reverse)
app.command("reversals")(reversals)
app.command("why")(why_account)
app.command("import")(import_)
app.command("simulate", epilog=EXAMPLES)(simulate)


@app.command()
def serve(
    port: Port = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
) -> None:
    """Serve HTTP; settings come from the environment."""
    from app.server import serve as start

    with refusals():
        start(host, port, workers)


@app.command()
def worker() -> None:
    """Tick every minute: what is due is granted, queued events are tried again."""
    from app.worker import work

    run(work())


@app.command()
def migrate() -> None:
    """Bring the database up to date, as DATABASE_OWNER_URL (else DATABASE_URL).

    Safe to start on many servers at once: one migrates, the others wait.
    """
    from app.commands.migrate import migrate as command

    run(command(console))


@app.command()
def doctor(
    url: Annotated[
        str | None, typer.Option(help="Where the service answers, as its callers see it.")
    ] = None,
    data_dir: BookDir = None,
    tiers: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The catalogue that should be applied."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an installation against the rollout's list; exit code 1 where something failed.

    With a URL it sends a signed, harmless event, which the inbox keeps as ignored.
    """
    from app.commands.book import running_folder
    from app.commands.doctor import doctor as command

    run(command(console, url, running_folder(data_dir), tiers, as_json=as_json))


@app.command("close-month")
def close_month(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month that is over, in UTC.")],
    output: Annotated[
        Path | None, typer.Option(file_okay=False, help="The folder; else close-YYYY-MM.")
    ] = None,
    data_dir: BookDir = None,
) -> None:
    """Check a month and write the pack that an accountant keeps.

    Roll-forward by lot source (breakage, deferred credits), trial balance, usage by tier, all
    entries, the checks, and checksums of all. The exit code is 1 where something does not hold.
    """
    from app.cli.words import errors_console
    from app.commands.close_month import close_month as command

    run(command(console, errors_console, month, output, data_dir))


@app.command()
def reconcile(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the drift and mend nothing.")
    ] = False,
    since: Annotated[
        int, typer.Option(min=1, max=30, metavar="DAYS", help="How far back events are fetched.")
    ] = 30,
    reason: Why = None,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """Fetch the events that Stripe could not deliver, and compare subscriptions and payments.

    What differs is mended through the same door as a webhook. The exit code is 1 where something
    stays unmended, and with --dry-run where anything was found. Needs STRIPE_API_KEY.
    """
    from app.commands.reconcile import reconcile as command

    said = reason if dry_run else why(reason)
    run(command(console, since, data_dir, said, dry_run=dry_run, as_json=as_json))


def main() -> None:
    """The console script, by its own name however it is started; `help WORDS` is `WORDS --help`."""
    words = sys.argv[1:]
    app([*words[1:], "--help"] if words[:1] == ["help"] else words, prog_name="tallybook")
