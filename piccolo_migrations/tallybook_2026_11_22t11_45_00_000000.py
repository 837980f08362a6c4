"""A run that was taken back may be run again: its number, and what it lifts of the reversal."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T11:45:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Runs that are run again; a run's journals and parts in order."

UP = """
ALTER TABLE runs ADD COLUMN opening integer NOT NULL DEFAULT 1 CHECK (opening >= 1),
    DROP CONSTRAINT runs_day_on_wave_at_key, ADD UNIQUE (day_on, wave_at, opening);
COMMENT ON COLUMN runs.opening IS
    'Above 1 it opens again the days of a run that was taken back: their opening number.';
ALTER TABLE reversals ADD COLUMN lifted bigint NOT NULL DEFAULT 0 CHECK (lifted >= 0);
COMMENT ON COLUMN reversals.lifted IS 'What of the shortfall a run that was run again undid.';
-- In order: a chunk of a reversal goes on where the last one ended.
DROP INDEX journals_run;
CREATE INDEX journals_run ON journals (run_id, id) WHERE run_id IS NOT NULL;
DROP INDEX reversals_part;
CREATE INDEX reversals_part ON reversals (part_of, id) WHERE part_of IS NOT NULL;
"""

DOWN = """
DROP INDEX reversals_part;
CREATE INDEX reversals_part ON reversals (part_of) WHERE part_of IS NOT NULL;
DROP INDEX journals_run;
CREATE INDEX journals_run ON journals (run_id) WHERE run_id IS NOT NULL;
ALTER TABLE reversals DROP COLUMN lifted;
ALTER TABLE runs DROP CONSTRAINT runs_day_on_wave_at_opening_key, DROP COLUMN opening,
    ADD UNIQUE (day_on, wave_at);
"""


async def forwards() -> MigrationManager:
    """The migration."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
