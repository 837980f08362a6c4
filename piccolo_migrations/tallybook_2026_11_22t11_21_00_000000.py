"""A verdict for every delivery, and how far each subscription's history is folded."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import append_only, migration

ID = "2026-11-22T11:21:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Deliveries, and folded histories."

UP = f"""
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    received_at timestamptz NOT NULL,
    verdict text NOT NULL CHECK (verdict IN
        ('applied', 'duplicate', 'stale', 'ignored', 'parked', 'refused', 'queued')),
    reason text NOT NULL
);
COMMENT ON TABLE deliveries IS
    'What was ruled at each delivery of an event, and at each later try of its effects.';
CREATE INDEX deliveries_event ON deliveries (event_id, id);
{append_only("deliveries")}
ALTER TABLE subscriptions ADD COLUMN settled_to timestamptz, ADD COLUMN settled jsonb,
    ADD COLUMN settled_catalogue_id bigint REFERENCES catalogues ON DELETE RESTRICT;
COMMENT ON COLUMN subscriptions.settled IS
    'The fold of all facts up to settled_to, by this catalogue: a newer fact goes on from there.';

GRANT SELECT, INSERT ON deliveries TO tallybook_app;
GRANT USAGE, SELECT ON SEQUENCE deliveries_id_seq TO tallybook_app;
GRANT SELECT ON deliveries, deliveries_id_seq TO tallybook_read;
"""

DOWN = """
ALTER TABLE subscriptions DROP COLUMN settled_to, DROP COLUMN settled,
    DROP COLUMN settled_catalogue_id;
DROP TABLE deliveries;
"""


async def forwards() -> MigrationManager:
    """Make the table and the columns."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
