"""Prepare a fresh database before the server starts: schema, keys, catalogue, clock."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from app.accounts import apply_catalogue as tiers_use_case
from app.allowance import catalogues
from app.allowance.catalogue import default_text, diff, parse
from app.book import Book
from app.embedded.devbook import DevKeys
from app.embedded.own_name import own_name
from app.embedded.secrets import Secrets
from app.infrastructure import clock as clocks
from app.infrastructure import migrations
from app.infrastructure.db import Database, opened
from app.operators import acts
from app.operators import keys as api_keys
from app.operators.acts import OperatorAct, at_the_machine
from app.operators.keys import Scope

AHEAD_TOLD = timedelta(minutes=1)


async def prepare(
    environment: dict[str, str],
    *,
    tiers: Path | None,
    clock: datetime | None,
    secrets: Secrets,
    tell: Callable[[str], None],
) -> DevKeys:
    """Bring the database up to date; again on every start, so each step does only what is missing.

    `environment` is the children's, with DATABASE_OWNER_URL beside it; what is added here reaches
    them, the owner's URL does not.
    """
    url = environment["DATABASE_URL"]
    owner_url = environment.get("DATABASE_OWNER_URL", url)
    await migrations.migrate_all(owner_url, {"DATABASE_URL": url}, environment["TALLYBOOK_ENV"])
    async with opened(owner_url) as database:
        await _set_clock(database, environment, clock, tell)
        await _apply_catalogue(database, tiers, tell)
        pepper = environment.get("TALLYBOOK_KEY_PEPPER", secrets.key_pepper)
        await api_keys.keep_pepper(database, pepper)
        return DevKeys(
            service=await _key(database, pepper, Scope.SERVICE, secrets.service_key),
            auditor=await _key(database, pepper, Scope.AUDITOR, secrets.auditor_key),
            operator=await _key(database, pepper, Scope.OPERATOR, secrets.operator_key),
        )


async def _set_clock(
    database: Database,
    environment: dict[str, str],
    instant: datetime | None,
    tell: Callable[[str], None],
) -> None:
    if instant is None:
        # A book whose clock was ahead goes on from there: the ledger's times ascend.
        await clocks.run_on(database)
        now, ahead = await clocks.ahead(database)
        if abs(ahead) > AHEAD_TOLD:
            way = "ahead of" if ahead > timedelta(0) else "behind"
            tell(
                f"This book's time is {now:%Y-%m-%d %H:%M} UTC, {abs(ahead).days} days "
                f"{way} the world's, since it was set. For the present: another --data-dir."
            )
        return
    environment["TALLYBOOK_CLOCK"] = "settable"
    stands = await clocks.stand(database, instant)
    if stands > instant:
        tell(
            f"The book's clock is at {stands:%Y-%m-%d %H:%M:%S} UTC already and never goes back; "
            "for an earlier start use another --data-dir."
        )


async def _apply_catalogue(
    database: Database, tiers: Path | None, tell: Callable[[str], None]
) -> None:
    """At the first start; a file that changed since is only compared."""
    content = default_text()
    if tiers is not None:
        content = await asyncio.to_thread(tiers.read_text, encoding="utf-8")
    named = str(tiers) if tiers else "the shipped tiers.toml"
    applied = await catalogues.newest(database)
    if applied is None:
        await tiers_use_case.apply(Book(database), content, named, "first start")
        return
    if tiers is None or applied.content == content:
        return
    changes = diff(parse(applied.content, "the applied catalogue"), parse(content, named))
    if changes:
        listed = "\n".join(f"  {line}" for line in changes)
        tell(
            f"{named} differs from the catalogue that is applied:\n{listed}\n"
            f"To apply it: {own_name()} tiers apply {named}"
        )


async def _key(database: Database, pepper: str, scope: Scope, secret: str) -> str:
    """The folder's key of this scope, the same at every start."""
    key_id = f"dev{scope:0<7}"[: api_keys.ID_CHARS]
    assert key_id in api_keys.DEVELOPMENT_IDS, "production refuses it by its id"
    async with database.transaction():
        if await api_keys.put_known(database, pepper, key_id, secret, f"dev {scope}", [scope]):
            by = at_the_machine("a development key of `tallybook up`")
            await acts.record(database, OperatorAct.KEY_CREATED, by, subject=f"key {key_id}")
    return api_keys.token_of(key_id, secret)
