"""`tallybook keys`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.cli.words import console, group, parse_instant, run

keys = group("API keys: shown once, stored hashed.")


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Who will hold it.")],
    scope: Annotated[list[str], typer.Option(help="service, auditor or operator; repeatable.")],
    expires: Annotated[
        datetime | None, typer.Option(parser=parse_instant, metavar="INSTANT", help="When it ends.")
    ] = None,
) -> None:
    """Make a key and show it, this once."""
    from app.commands.keys import create_key

    run(create_key(console, name, scope, expires))


@keys.command("list")
def keys_list() -> None:
    """List the keys, without their secrets."""
    from app.commands.keys import list_keys

    run(list_keys(console))


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="The part after tb_.")]) -> None:
    """Revoke a key; every process refuses it within seconds."""
    from app.commands.keys import revoke_key

    run(revoke_key(console, key_id))
