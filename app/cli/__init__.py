"""The command line: a file for each command, imported once it is named, so that help is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module, metadata
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from app.cli.words import command, console, group, refusals, say_all


class Place(NamedTuple):
    """The place of a command: its module, its function or group, and its line in the help."""

    module: str
    name: str
    help: str


COMMANDS: Final = {
    "account": Place(
        "account",
        "account",
        "One account, by the application's or the customer's id: look, give, correct.",
    ),
    "book": Place("book", "book", "The books of a database: tenants, or test beside live."),
    "keys": Place("keys", "keys", "API keys: shown once, stored hashed."),
    "tiers": Place("tiers", "tiers", "The catalogue: which price buys which tier."),
    "grants": Place("grants", "grants", "The daily grants: run them, see what they did."),
    "events": Place("events", "events", "Stripe's events as they were received."),
    "ledger": Place(
        "ledger", "ledger", "The ledger: check it, export it, rebuild what is derived from it."
    ),
    "seal": Place("seals", "seal", "Seals: signed heads over the ledger, see ops/seals.md."),
    "evidence": Place(
        "seals", "evidence", "Evidence: files that prove a balance offline, see ops/seals.md."
    ),
    "webhooks": Place(
        "webhooks", "webhooks", "Webhooks that we send: endpoints, and the messages to them."
    ),
    "up": Place(
        "processes",
        "up",
        "Run PostgreSQL, Redis, the server and a worker, all of them on this machine.",
    ),
    "env": Place(
        "env",
        "print_environment",
        "Print a running book's addresses, secrets and keys for the shell: "
        '`eval "$(tallybook env)"`.',
    ),
    "demo": Place(
        "processes",
        "demo",
        "Like `up`, and play the sample tape: some customers over some weeks, by signed webhooks.",
    ),
    "reverse": Place(
        "reversals",
        "reverse",
        "Take back a mistake by entries that run against it; nothing is edited. Once: again "
        "changes nothing.",
    ),
    "reversals": Place(
        "reversals",
        "list_reversals",
        "List the reversals, with time, operator, reason and shortfall.",
    ),
    "why": Place(
        "why", "tell_why", "Say where an account's credits went: today, on a date, or in a month."
    ),
    "import": Place(
        "import_accounts",
        "import_file",
        "Open accounts, tie their customers and give their opening balances, from CSV or NDJSON.",
    ),
    "simulate": Place(
        "simulate",
        "simulate",
        "Play Stripe's life cycles as signed webhooks, without a Stripe account.",
    ),
    "serve": Place("processes", "serve", "Serve HTTP; settings come from the environment."),
    "worker": Place(
        "processes",
        "worker",
        "Tick every minute: what is due is granted, queued events are tried again.",
    ),
    "migrate": Place(
        "migrate",
        "migrate",
        "Bring the database up to date, as DATABASE_OWNER_URL (else DATABASE_URL).",
    ),
    "doctor": Place(
        "doctor",
        "doctor",
        "Check an installation against the rollout's list; exit code 1 where something failed.",
    ),
    "close-month": Place(
        "close_month", "close_month", "Check a month and write the pack that an accountant keeps."
    ),
    "reconcile": Place(
        "reconcile",
        "reconcile",
        "Fetch the events that Stripe could not deliver, and compare subscriptions and payments.",
    ),
}
# Those that ask at a terminal for what was not said with --reason.
ASKING: Final = {"reconcile"}


class _Modules(MutableMapping[str, Any]):
    """The commands by name, each made when it is asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _load(name)
        return self._made[name]

    def __setitem__(self, name: str, made: Any) -> None:
        self._made[name] = made

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _load(name: str) -> Any:
    place = COMMANDS[name]
    found = getattr(import_module(f"app.cli.{place.module}"), place.name)
    if not isinstance(found, typer.Typer):
        alone = group("")
        command(alone, name, asks=name in ASKING)(found)
        found = alone
    made = typer.main.get_command(found)
    made.name = name
    return made


class _Commands(TyperGroup):
    """All commands; their list is shown without importing what they do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Modules()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show each command's line of `COMMANDS`."""
        lines = {name: TyperCommand(name, help=place.help) for name, place in COMMANDS.items()}
        self.commands = lines  # type: ignore[assignment]  # a mapping of Typer's own commands
        super().format_help(ctx, formatter)


app = typer.Typer(
    name="tallybook",
    cls=_Commands,
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


def main() -> None:
    """The console script, by its own name however it is started; `help WORDS` is `WORDS --help`."""
    words = sys.argv[1:]
    app([*words[1:], "--help"] if words[:1] == ["help"] else words, prog_name="tallybook")
