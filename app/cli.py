"""The command line: each command translates its words and calls one use case."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from app.errors import TallybookError

app = typer.Typer(
    name="tallybook",
    help="Credits for Stripe subscriptions, on an append-only ledger.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    rich_markup_mode="markdown",
)
console = Console()
errors_console = Console(stderr=True)

Port = Annotated[int, typer.Option(help="The HTTP port on loopback; 0 picks a free one.")]
DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
BookDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="A running `up`'s data folder, instead of DATABASE_URL."),
]
TiersFile = Annotated[
    Path | None,
    typer.Option("--tiers", exists=True, dir_okay=False, help="The catalogue of a first start."),
]


def _instant(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant such as 2026-01-01T00:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Clock = Annotated[
    datetime | None,
    typer.Option("--clock", parser=_instant, metavar="INSTANT", help="Let time stand here."),
]


def run(coroutine: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its exit code; our own errors are a sentence, not a traceback."""
    try:
        code = asyncio.run(coroutine)
    except TallybookError as error:
        errors_console.print(error.detail, style="red", markup=False, soft_wrap=True)
        code = 1
    raise typer.Exit(code or 0)


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
def demo(port: Port = 8787, data_dir: DataDir = Path(".tallybook")) -> None:
    """Like `up`, and play the sample tape: some customers over some weeks, by signed webhooks.

    With DEMO_EXIT=1 it ends after the tape; its exit code tells whether the result was right.
    """
    from app.demo import play_and_stay

    leave = os.environ.get("DEMO_EXIT", "") not in ("", "0")
    run(play_and_stay(port=port, data_dir=data_dir, console=console, leave=leave))


@app.command()
def serve(
    port: Port = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
) -> None:
    """Serve HTTP; settings come from the environment."""
    from app.server import serve as start

    try:
        start(host, port, workers)
    except TallybookError as error:
        errors_console.print(error.detail, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


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
    from app.commands import migrate as command

    run(command(console))


keys_app = typer.Typer(help="API keys: shown once, stored hashed.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Who will hold it.")],
    scope: Annotated[list[str], typer.Option(help="service, auditor or operator; repeatable.")],
    expires: Annotated[
        datetime | None, typer.Option(parser=_instant, metavar="INSTANT", help="When it ends.")
    ] = None,
) -> None:
    """Make a key and show it, this once."""
    from app.commands import create_key

    run(create_key(console, name, scope, expires))


@keys_app.command("list")
def keys_list() -> None:
    """List the keys, without their secrets."""
    from app.commands import list_keys

    run(list_keys(console))


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="The part after tb_.")]) -> None:
    """Revoke a key; every process refuses it within seconds."""
    from app.commands import revoke_key

    run(revoke_key(console, key_id))


tiers_app = typer.Typer(help="The catalogue: which price buys which tier.", no_args_is_help=True)
app.add_typer(tiers_app, name="tiers")


@tiers_app.command("show")
def tiers_show() -> None:
    """Show the catalogue that is applied."""
    from app.commands import show_tiers

    run(show_tiers(console))


@tiers_app.command("apply")
def tiers_apply(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Apply a catalogue: new prices count at once, amounts from each account's next day."""
    from app.commands import apply_tiers

    run(apply_tiers(console, file))


ledger_app = typer.Typer(help="The ledger.", no_args_is_help=True)
app.add_typer(ledger_app, name="ledger")


@ledger_app.command("verify")
def ledger_verify(data_dir: BookDir = None) -> None:
    """Recompute every balance from entries alone and check every invariant; 1 on a difference."""
    from app.commands import verify_ledger

    run(verify_ledger(console, data_dir))


@ledger_app.command("export")
def ledger_export(
    form: Annotated[Literal["ndjson", "csv"], typer.Option("--format")] = "ndjson",
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file, instead of standard output.")
    ] = None,
    data_dir: BookDir = None,
) -> None:
    """Write every entry, ending in a record of count and SHA-256; progress goes to stderr."""
    from app.commands import export_ledger

    run(export_ledger(errors_console, form, output, data_dir))


@ledger_app.command("rebuild")
def ledger_rebuild(
    data_dir: BookDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; 1 where something differs.")
    ] = False,
) -> None:
    """Set balances, lots and holds to what the entries say, in one transaction."""
    from app.commands import rebuild_ledger

    run(rebuild_ledger(console, data_dir, dry_run=dry_run))


def main() -> None:
    """The console script."""
    app()
