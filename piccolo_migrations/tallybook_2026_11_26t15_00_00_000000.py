"""The schema, by the files in schema/.

It takes its tables from app as long as nothing is released: from then on later migrations change
them, and this one names a copy of app/tables beside itself.
"""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from app.tables import TABLES
from piccolo_migrations import migration, read

ID = "2026-11-26T15:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The schema."


async def forwards() -> MigrationManager:
    """Run the files in order; backwards, remove everything."""
    return migration(ID, DESCRIPTION, up=read("[0-9]*.sql"), down=read("drop.sql"), makes=TABLES)
