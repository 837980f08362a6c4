"""By which catalogue each subscription was derived, so that those that lag behind are found."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T12:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Subscriptions know their catalogue."

# Those that stand were derived by the newest, or lag behind: the next apply finds them as before.
UP = """
ALTER TABLE subscriptions ADD COLUMN catalogue_id bigint REFERENCES catalogues ON DELETE RESTRICT;
UPDATE subscriptions SET catalogue_id = (SELECT max(id) FROM catalogues);
ALTER TABLE subscriptions ALTER COLUMN catalogue_id SET NOT NULL;
COMMENT ON COLUMN subscriptions.catalogue_id IS
    'Derived by this one; where a newer is in force, the next tick derives it again.';
CREATE INDEX subscriptions_catalogue ON subscriptions (catalogue_id, id) WHERE state <> 'canceled';
"""

DOWN = """
ALTER TABLE subscriptions DROP COLUMN catalogue_id;
"""


async def forwards() -> MigrationManager:
    """Add the column."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
