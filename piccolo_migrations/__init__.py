"""Piccolo's migrations, in the order of their timestamps.

The first one makes the schema from the files in schema/. Piccolo takes every other module here for
a migration, so what they share stands in this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from piccolo.apps.migrations.auto.diffable_table import DiffableTable
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.table import Table

SCHEMA: Final = Path(__file__).parent / "schema"


def read(pattern: str) -> str:
    """Join the schema's files of this pattern, in the order of their names."""
    return "\n".join(path.read_text("utf-8") for path in sorted(SCHEMA.glob(pattern)))


class _BySql(MigrationManager):
    """A migration whose SQL makes its tables; Piccolo only hears of them, for an automatic next."""

    async def _run_add_tables(self, backwards: bool = False) -> None:
        pass


def migration(
    migration_id: str,
    description: str,
    *,
    up: str,
    down: str,
    makes: Sequence[type[Table]] = (),
) -> MigrationManager:
    """Make a migration whose two directions are SQL scripts; ``makes`` are its new tables."""
    manager = _BySql(migration_id=migration_id, app_name="tallybook", description=description)
    manager.add_tables = [
        DiffableTable(table.__name__, table._meta.tablename, columns=table._meta.columns)
        for table in makes
    ]

    async def forwards() -> None:
        await _execute(up)

    async def backwards() -> None:
        await _execute(down)

    manager.add_raw(forwards)
    manager.add_raw_backwards(backwards)
    return manager


async def _execute(script: str) -> None:
    engine = engine_finder()
    assert engine is not None
    # Several statements in one call need the simple protocol, hence the connection itself.
    await engine.current_transaction.get().connection.execute(script)
