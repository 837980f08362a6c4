"""Reconciliations compare payments too, and count them."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T14:42:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Reconciliations compare payments too."

UP = """
ALTER TABLE reconciliations DROP CONSTRAINT reconciliations_part_check,
    ADD CONSTRAINT reconciliations_part_check
        CHECK (part IN ('events', 'money', 'listed', 'unlisted', 'done')),
    ADD COLUMN payments bigint NOT NULL DEFAULT 0 CHECK (payments >= 0);
COMMENT ON COLUMN reconciliations.payments IS
    'How many Checkout sessions, refunds and disputes were compared.';
"""

# Whoever was at it begins with the subscriptions: the code before knows of no such part.
DOWN = """
UPDATE reconciliations SET part = 'listed', reached = NULL WHERE part = 'money';
ALTER TABLE reconciliations DROP COLUMN payments,
    DROP CONSTRAINT reconciliations_part_check,
    ADD CONSTRAINT reconciliations_part_check
        CHECK (part IN ('events', 'listed', 'unlisted', 'done'));
"""


async def forwards() -> MigrationManager:
    """Widen the constraint and add the column."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
