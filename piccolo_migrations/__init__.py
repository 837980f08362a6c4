"""Piccolo migrations, in the order of their timestamps; they never import app.

What the later ones share stands here: Piccolo takes every other module for a migration.
"""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder


async def execute(script: str) -> None:
    """Run SQL inside the migration's transaction.

    Several statements in one call need the simple protocol, hence the connection itself.
    """
    engine = engine_finder()
    assert engine is not None
    await engine.current_transaction.get().connection.execute(script)


def append_only(*tables: str) -> str:
    """SQL that lets rows of these tables be added and nothing else."""
    return "".join(
        f"""
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
        for table in tables
    )


def migration(migration_id: str, description: str, *, up: str, down: str) -> MigrationManager:
    """A migration whose two directions are SQL."""
    manager = MigrationManager(
        migration_id=migration_id, app_name="tallybook", description=description
    )

    async def forwards() -> None:
        await execute(up)

    async def backwards() -> None:
        await execute(down)

    manager.add_raw(forwards)
    manager.add_raw_backwards(backwards)
    return manager
