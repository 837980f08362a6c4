"""What every command shares: consoles, common options, the way from an error to a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from app.errors import TallybookError

console = Console()
errors_console = Console(stderr=True)

Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="The HTTP port on loopback; 0 picks a free one.")
]
DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
BookDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="A running `up`'s data folder, instead of DATABASE_URL; without both, .tallybook.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Why = Annotated[
    str | None, typer.Option("--reason", help="Why; kept in the list of what operators did.")
]
TiersFile = Annotated[
    Path | None,
    typer.Option("--tiers", exists=True, dir_okay=False, help="The catalogue of a first start."),
]


def parse_instant(text: str) -> datetime:
    """RFC 3339, or without a zone UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant such as 2026-01-01T00:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Clock = Annotated[
    datetime | None,
    typer.Option("--clock", parser=parse_instant, metavar="INSTANT", help="Let time stand here."),
]


_said = {"verbose": False}


def say_all(*, verbose: bool) -> None:
    """Whether the command that follows logs what it does."""
    _said["verbose"] = verbose


def group(help_text: str) -> typer.Typer:
    """A group of commands that shows its help where none of them is named."""
    return typer.Typer(help=help_text, no_args_is_help=True)


def run(coroutine: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its exit code."""
    from app.infrastructure import logs

    logs.of_command(verbose=_said["verbose"])
    with refusals():
        code = asyncio.run(coroutine)
    raise typer.Exit(code or 0)


@contextmanager
def refusals() -> Iterator[None]:
    """End with exit code 1 and a sentence, not a traceback, for what the user can mend."""
    from app.commands.sentences import sentence

    try:
        yield
    except Exception as error:
        told = error.detail if isinstance(error, TallybookError) else sentence(error)
        if told is None:
            raise
        errors_console.print(told, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
