"""`tallybook seal` and `tallybook evidence`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.words import BookDir, console, group, run

seal = group("Seals: signed heads over the ledger, see ops/seals.md.")


@seal.command("now")
def seal_now(data_dir: BookDir = None) -> None:
    """Seal what was committed since the last seal, and print the newest head."""
    from app.commands.seals import seal_now as command

    run(command(console, data_dir))


@seal.command("key")
def seal_key(
    name: Annotated[str, typer.Argument(help="The book's name in its seals: books.example.com.")],
) -> None:
    """Make a private key for TALLYBOOK_SEAL_KEY, and print it."""
    from app.commands.seals import make_key

    run(make_key(console, name))
