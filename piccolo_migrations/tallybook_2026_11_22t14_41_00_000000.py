"""The days that a run opened with nothing are found without a look at the others."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T14:41:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "An index of days that were opened with nothing."

UP = """
CREATE INDEX daily_grants_empty ON daily_grants (run_id, account_id)
    WHERE credits = 0 AND run_id IS NOT NULL;
"""

DOWN = """
DROP INDEX daily_grants_empty;
"""


async def forwards() -> MigrationManager:
    """Make the index."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
