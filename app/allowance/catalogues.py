"""The applied catalogues: the one in the database rules every process, and each is kept."""

from __future__ import annotations

from typing import Final

from app.allowance.catalogue import Catalogue, parse
from app.errors import ConfigurationError
from app.infrastructure.db import Database

APPLY_LOCK: Final = 0x7A11_B00C  # one apply at a time, over all processes


class Catalogues:
    """Catalogues by id; an applied one never changes, so that each is parsed once."""

    def __init__(self) -> None:
        self._parsed: dict[int, Catalogue] = {}

    async def present(self, database: Database) -> tuple[int, Catalogue]:
        """The id and content of the newest; ConfigurationError where none was applied."""
        return await self.known(database, await database.fetchval("SELECT max(id) FROM catalogues"))

    async def known(self, database: Database, number: int | None) -> tuple[int, Catalogue]:
        """The same where the newest's id is known already."""
        if number is None:
            raise ConfigurationError("No catalogue is applied; run `tallybook tiers apply FILE`.")
        return number, await self.of(database, number)

    async def of(self, database: Database, number: int) -> Catalogue:
        """The catalogue of this id."""
        if number not in self._parsed:
            content = await database.fetchval(
                "SELECT content FROM catalogues WHERE id = $1", number
            )
            self._parsed[number] = parse(content, f"catalogue {number}")
        return self._parsed[number]

    async def carries(self, database: Database) -> tuple[list[int], list[str], list[int]]:
        """(catalogue, tier, the most that it carries over) as columns: what CARRIES takes."""
        rows = [
            (row["id"], tier.name, tier.carry_over_max)
            for row in await database.fetch("SELECT id FROM catalogues")
            for tier in (await self.of(database, row["id"])).tiers
        ]
        return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


# Parameters 4 to 6 of a statement: the columns of ``Catalogues.carries``.
CARRIES: Final = """carries AS MATERIALIZED (
    SELECT * FROM unnest($4::bigint[], $5::text[], $6::bigint[])
        AS carry (catalogue_id, tier, credits_max))"""


async def apply(database: Database, content: str, file: str, applied_by: str) -> int:
    """Store a catalogue as the one in force; raises CatalogueError where it is wrong.

    The same content as the newest is not stored again.
    """
    parse(content, file)
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", APPLY_LOCK)
        newest = await database.fetchrow(
            "SELECT id, content FROM catalogues ORDER BY id DESC LIMIT 1"
        )
        if newest is not None and newest["content"] == content:
            number: int = newest["id"]
            return number
        return await database.fetchval(  # type: ignore[no-any-return]
            """INSERT INTO catalogues (content, applied_at, applied_by)
               VALUES ($1, tallybook_now(), $2) RETURNING id""",
            content,
            applied_by,
        )
