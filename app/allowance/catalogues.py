"""The applied catalogues: all are kept, and the newest one rules every process."""

from __future__ import annotations

from typing import Final

import msgspec
from piccolo.querystring import QueryString

from app.allowance.catalogue import Catalogue, parse, running
from app.errors import ConfigurationError
from app.infrastructure.db import Database
from app.tables import clock_and_catalogues as rows

APPLY_LOCK: Final = 0x7A11_B00C  # one apply at a time, in all processes


class Catalogues:
    """Catalogues by id; an applied one never changes, so each is parsed once."""

    def __init__(self) -> None:
        self._parsed: dict[int, Catalogue] = {}

    async def present(self, database: Database) -> tuple[int, Catalogue]:
        """Return the id and content of the newest; raise ConfigurationError if none was applied."""
        return await self.known(database, await database.fetchval("SELECT max(id) FROM catalogues"))

    async def known(self, database: Database, number: int | None) -> tuple[int, Catalogue]:
        """Like `present`, if the newest id is known already; None means that none was applied."""
        if number is None:
            raise ConfigurationError("No catalogue is applied; run `tallybook tiers apply FILE`.")
        return number, await self.of(database, number)

    async def of(self, database: Database, number: int) -> Catalogue:
        """Return the catalogue of this id."""
        if number not in self._parsed:
            row = await database.run(
                rows.Catalogues.select().where(rows.Catalogues.id == number).first()
            )
            assert row is not None
            self._parsed[number] = parse(row["content"], f"catalogue {number}")
        return self._parsed[number]

    async def account_keys(self, database: Database) -> tuple[str, ...]:
        """Return the metadata keys that name an account, by the newest catalogue known to this
        process.

        Asks the database if the process knows none. Each event that changes something loads a
        newer catalogue if there is one.
        """
        if not self._parsed:
            await self.present(database)
        return self._parsed[max(self._parsed)].stripe.account_metadata

    async def tiers_of_days(self, database: Database) -> dict[str, list[object]]:
        """Return the tiers of the days that each catalogue opened, as the columns that DAY_TIERS
        takes.
        """
        numbers = await database.run(rows.Catalogues.select(rows.Catalogues.id))
        _, present = await self.present(database)
        tiers = [
            (row["id"], tier.name, tier.daily_credits, tier.carry_over_max)
            for row in numbers
            for tier in running(await self.of(database, row["id"]), present).tiers
        ]
        names = ("of_catalogues", "of_tiers", "of_credits", "of_carries")
        return {name: [one[at] for one in tiers] for at, name in enumerate(names)}


class Applied(msgspec.Struct, frozen=True):
    """A catalogue as it was applied."""

    id: int
    content: str


async def newest(database: Database) -> Applied | None:
    """Return the catalogue in force; None before the first."""
    columns = (rows.Catalogues.id, rows.Catalogues.content)
    newest_first = rows.Catalogues.select(*columns).order_by(rows.Catalogues.id, ascending=False)
    row = await database.run(newest_first.first())
    return None if row is None else Applied(**row)


async def apply(database: Database, content: str, file: str, applied_by: str) -> int:
    """Store a catalogue as the one in force; raise CatalogueError if it is wrong.

    Content that equals the newest is not stored again.
    """
    parse(content, file)
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", APPLY_LOCK)
        before = await newest(database)
        if before is not None and before.content == content:
            return before.id
        row = rows.Catalogues(
            content=content, applied_at=QueryString("tallybook_now()"), applied_by=applied_by
        )
        (added,) = await database.run(rows.Catalogues.insert(row))
        number: int = added["id"]
        return number
