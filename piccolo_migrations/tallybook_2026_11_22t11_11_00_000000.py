"""Validate the routes of entries, whose CHECK the migration before replaced."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T11:11:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The routes of entries are validated."


async def forwards() -> MigrationManager:
    """Reads every entry under a lock that readers and writers pass; back, it stays validated."""
    return migration(
        ID, DESCRIPTION,
        up="ALTER TABLE entries VALIDATE CONSTRAINT kind_has_its_house", down="SELECT 1",
    )  # fmt: skip
