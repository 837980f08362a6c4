"""`tallybook keys`: make, list, revoke, rotate API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from app.commands.book import database_url, key_pepper, opened_by_owner
from app.commands.listing import Listing
from app.errors import ConfigurationError
from app.infrastructure.db import Database, opened
from app.infrastructure.rates import parse_networks
from app.operators import acts, keys
from app.operators.acts import OperatorAct, at_the_machine
from app.operators.keys import Scope
from app.tables.keys_and_operators import ApiKeys, KeyUses


async def create_key(
    console: Console,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
    networks: list[str],
    reason: str | None,
    data_dir: Path | None = None,
) -> int:
    """`tallybook keys create`."""
    wrong = set(scopes) - set(Scope)
    if wrong:
        raise ConfigurationError(
            f"No such scope: {', '.join(sorted(wrong))}. Use {', '.join(Scope)}."
        )
    try:
        allowed = parse_networks(",".join(networks))
    except ValueError as error:
        raise ConfigurationError(f"No network: {error}.") from None
    pepper = key_pepper(data_dir)
    async with opened_by_owner(data_dir) as database, database.transaction():
        await keys.keep_pepper(database, pepper)
        wanted = [Scope(scope) for scope in scopes]
        token = await keys.create(database, pepper, name, wanted, expires_at, allowed)
        await _record(database, OperatorAct.KEY_CREATED, keys.id_of(token), reason)
    _show(console, token)
    return 0


async def list_keys(
    console: Console, data_dir: Path | None = None, *, as_json: bool = False
) -> int:
    """`tallybook keys list`."""
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
    return 0


async def revoke_key(
    console: Console, key_id: str, reason: str | None, data_dir: Path | None = None
) -> int:
    """`tallybook keys revoke`."""
    async with opened_by_owner(data_dir) as database, database.transaction():
        done = await keys.revoke(database, key_id)
        if done:
            await _record(database, OperatorAct.KEY_REVOKED, key_id, reason)
    console.print(f"Revoked {key_id}." if done else f"No good key has the id {key_id}.")
    return 0 if done else 1


async def rotate_key(
    console: Console,
    key_id: str,
    overlap_s: int,
    reason: str | None,
    data_dir: Path | None = None,
) -> int:
    """`tallybook keys rotate`."""
    pepper = key_pepper(data_dir)
    async with opened_by_owner(data_dir) as database, database.transaction():
        await keys.keep_pepper(database, pepper)
        token, ends_at = await keys.rotate(database, pepper, key_id, timedelta(seconds=overlap_s))
        subject = f"{key_id} to {keys.id_of(token)}"
        await _record(database, OperatorAct.KEY_ROTATED, subject, reason)
    _show(console, token)
    Console(stderr=True).print(f"{key_id} is good until {ends_at:%Y-%m-%d %H:%M:%S} UTC.")
    return 0


async def _record(database: Database, act: OperatorAct, subject: str, reason: str | None) -> None:
    await acts.record(database, act, at_the_machine(reason), subject=f"key {subject}")


def _show(console: Console, token: str) -> None:
    console.print(token, soft_wrap=True, highlight=False)
    errors = Console(stderr=True)
    errors.print(
        "This is the only time it is shown; send it as Authorization: Bearer.", style="dim"
    )
