"""`tallybook keys`: make, list, revoke, rotate API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from app.cli.listing import Listing
from app.cli.which_book import database_url, key_pepper, opened_by_owner
from app.cli.words import (
    AsJson,
    BookDir,
    Why,
    command,
    console,
    errors_console,
    group,
    parse_instant,
)
from app.errors import ConfigurationError
from app.infrastructure.db import Database, opened
from app.infrastructure.rates import parse_networks
from app.operators import acts
from app.operators import keys as api_keys
from app.operators.acts import OperatorAct, at_the_machine
from app.operators.keys import Scope
from app.tables.keys_and_operators import ApiKeys, KeyUses

keys = group("API keys: shown once, stored hashed.")
KeyId = Annotated[str, typer.Argument(help="The part after tb_.")]


@command(keys, "create", asks=True)
async def create_key(
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
    wrong = set(scope) - set(Scope)
    if wrong:
        raise ConfigurationError(
            f"No such scope: {', '.join(sorted(wrong))}. Use {', '.join(Scope)}."
        )
    try:
        allowed = parse_networks(",".join(network or []))
    except ValueError as error:
        raise ConfigurationError(f"No network: {error}.") from None
    pepper = key_pepper(data_dir)
    async with opened_by_owner(data_dir) as database, database.transaction():
        await api_keys.keep_pepper(database, pepper)
        wanted = [Scope(one) for one in scope]
        token = await api_keys.create(database, pepper, name, wanted, expires, allowed)
        await _record(database, OperatorAct.KEY_CREATED, api_keys.id_of(token), reason)
    _show(token)


@command(keys, "list")
async def list_keys(as_json: AsJson = False, data_dir: BookDir = None) -> None:
    """List the keys, without their secrets."""
    listing = Listing(
        "id",
        "name",
        "scopes",
        "networks",
        "created",
        "last used",
        "expires",
        "revoked",
        least=("created", "expires", "networks"),
    )
    async with opened(database_url(data_dir)) as database:
        uses = {row["key_id"]: row["last_used_at"] for row in await database.run(KeyUses.select())}
        for row in await database.run(ApiKeys.select().order_by(ApiKeys.created_at)):
            at_each = (
                row["created_at"],
                uses.get(row["id"]),
                row["expires_at"],
                row["revoked_at"],
            )
            listing.add(row["id"], row["name"], row["scopes"], row["networks"], *at_each)
    listing.show(console, as_json=as_json)


@command(keys, "revoke", asks=True)
async def revoke_key(key_id: KeyId, reason: Why = None, data_dir: BookDir = None) -> int:
    """Revoke a key; every process refuses it within seconds."""
    async with opened_by_owner(data_dir) as database, database.transaction():
        done = await api_keys.revoke(database, key_id)
        if done:
            await _record(database, OperatorAct.KEY_REVOKED, key_id, reason)
    console.print(f"Revoked {key_id}." if done else f"No good key has the id {key_id}.")
    return 0 if done else 1


@command(keys, "rotate", asks=True)
async def rotate_key(
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option(min=0, max=30 * 86_400, help="Seconds for which the old one stays good.")
    ] = 3_600,
    reason: Why = None,
    data_dir: BookDir = None,
) -> None:
    """Make a new key of the same name and scopes; the old one ends after an overlap."""
    pepper = key_pepper(data_dir)
    async with opened_by_owner(data_dir) as database, database.transaction():
        await api_keys.keep_pepper(database, pepper)
        token, ends_at = await api_keys.rotate(database, pepper, key_id, timedelta(seconds=overlap))
        subject = f"{key_id} to {api_keys.id_of(token)}"
        await _record(database, OperatorAct.KEY_ROTATED, subject, reason)
    _show(token)
    errors_console.print(f"{key_id} is good until {ends_at:%Y-%m-%d %H:%M:%S} UTC.")


async def _record(database: Database, act: OperatorAct, subject: str, reason: str | None) -> None:
    await acts.record(database, act, at_the_machine(reason), subject=f"key {subject}")


def _show(token: str) -> None:
    console.print(token, soft_wrap=True, highlight=False)
    errors_console.print(
        "This is the only time it is shown; send it as Authorization: Bearer.", style="dim"
    )
