"""Which lot goes on where: a lot whose account was joined to another names the one there."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import append_only, migration

ID = "2026-11-22T14:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Lots that moved with their account are followed."

UP = f"""
CREATE TABLE moved_lots (
    lot_id bigint PRIMARY KEY REFERENCES lots ON DELETE RESTRICT,
    to_lot_id bigint NOT NULL UNIQUE REFERENCES lots ON DELETE RESTRICT,
    moved_at timestamptz NOT NULL,
    CONSTRAINT into_a_later_lot CHECK (to_lot_id > lot_id)
);
COMMENT ON TABLE moved_lots IS
    'Where a lot goes on since its account was joined to another: what a reversal takes or gives.';
{append_only("moved_lots")}
GRANT SELECT, INSERT ON moved_lots TO tallybook_app;
GRANT SELECT ON moved_lots TO tallybook_read;
"""

DOWN = """
DROP TABLE moved_lots;
"""


async def forwards() -> MigrationManager:
    """Make the table."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
