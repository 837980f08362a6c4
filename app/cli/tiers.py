"""`tallybook tiers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.words import Why, console, group, run

tiers = group("The catalogue: which price buys which tier.")


@tiers.command("show")
def tiers_show() -> None:
    """Show the catalogue that is applied."""
    from app.commands.tiers import show_tiers

    run(show_tiers(console))


@tiers.command("apply")
def tiers_apply(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], reason: Why = None
) -> None:
    """Apply a catalogue: new prices count at once, amounts from each account's next day."""
    from app.commands.tiers import apply_tiers

    run(apply_tiers(console, file, reason))
