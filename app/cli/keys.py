"""`tallybook keys`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.cli.words import AsJson, BookDir, Why, console, group, parse_instant, run
from app.commands.why import why

keys = group("API keys: shown once, stored hashed.")
KeyId = Annotated[str, typer.Argument(help="The part after tb_.")]


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Who will hold it.")],
    scope: Annotated[
        list[str], typer.Option(help="service, read, spend, auditor, operator; repeatable.")
    ],
    expires: Annotated[
        datetime | None, typer.Option(parser=parse_instant, metavar="INSTANT", help="When it ends.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="From where alone it may be used, such as 10.0.0.0/8; repeatable."),
    ] = None,
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Make a key and show it, this once."""
    from app.commands.keys import create_key

    run(create_key(console, name, scope, expires, network or [], why(reason), data_dir))


@keys.command("list")
def keys_list(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List the keys, without their secrets."""
    from app.commands.keys import list_keys

    run(list_keys(console, data_dir, as_json=as_json))


@keys.command("revoke")
def keys_revoke(key_id: KeyId, reason: Why = None, data_dir: BookDir = None) -> None:
    """Revoke a key; every process refuses it within seconds."""
    from app.commands.keys import revoke_key

    run(revoke_key(console, key_id, why(reason), data_dir))


@keys.command("rotate")
def keys_rotate(
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option(min=0, max=30 * 86_400, help="Seconds for which the old one stays good.")
    ] = 3_600,
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Make a new key of the same name and scopes; the old one ends after an overlap."""
    from app.commands.keys import rotate_key

    run(rotate_key(console, key_id, overlap, why(reason), data_dir))
