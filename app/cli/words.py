"""Parts that all commands share: consoles, common options, and how a function becomes a command."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from app.errors import TallybookError

console = Console()
errors_console = Console(stderr=True)

DRY_RUN: Final = "A dry run: nothing was changed."

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
# The reason of an act: where it is asked for (`ask_reason`), and where it must be said.
Why = Annotated[
    str | None, typer.Option("--reason", help="Why; kept in the list of what operators did.")
]
Because = Annotated[str, typer.Option("--reason", help="Why; kept for auditors.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do; change nothing.")]
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
    """Set whether the command that follows logs its work."""
    _said["verbose"] = verbose


def group(help_text: str, **options: Any) -> typer.Typer:
    """A group of commands that shows its help if none of them is named."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        **options,
    )


_Function = TypeVar("_Function", bound=Callable[..., Any])


def command(
    of: typer.Typer, name: str, *, asks: bool = False, **options: Any
) -> Callable[[_Function], _Function]:
    """Make a command of a function: its parameters are the words, its docstring is the help.

    A coroutine function is run to its exit code; None is 0. With ``asks`` the reason is asked for
    first, unless it is a dry run: once the loop runs, Ctrl-C would not end the question. The
    function itself stays as it is.
    """

    def add(function: _Function) -> _Function:
        @wraps(function)
        def started(**words: Any) -> None:
            if asks and not words.get("dry_run"):
                words["reason"] = ask_reason(words["reason"])
            run(function(**words))

        of.command(name, **options)(started if iscoroutinefunction(function) else function)
        return function

    return add


def ask_reason(reason: str | None) -> str | None:
    """The reason that was said; who sits at a terminal is asked, a script is not held up."""
    if reason is not None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return reason
    asked: str = typer.prompt(
        "Why (kept for auditors; Enter for none)", default="", show_default=False, err=True
    )
    return asked


def tell_more(limit: int) -> None:
    """Say on standard error that a list is longer."""
    errors_console.print(f"There are more than {limit}: --limit shows them.", style="dim")


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
    from app.cli.sentences import sentence

    try:
        yield
    except Exception as error:
        told = error.detail if isinstance(error, TallybookError) else sentence(error)
        if told is None:
            raise
        errors_console.print(told, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
