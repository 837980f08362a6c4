"""Runs tell why they skipped whom and what was not opened; accounts tell their last use."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T11:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Reasons and dates of a run; dormant accounts; since when a payment fails."

UP = """
ALTER TABLE runs
    ADD COLUMN took_ms bigint NOT NULL DEFAULT 0 CHECK (took_ms >= 0),
    ADD COLUMN skipped_by_use bigint NOT NULL DEFAULT 0 CHECK (skipped_by_use >= 0),
    ADD COLUMN skipped_closed bigint NOT NULL DEFAULT 0 CHECK (skipped_closed >= 0),
    ADD COLUMN skipped_dormant bigint NOT NULL DEFAULT 0 CHECK (skipped_dormant >= 0),
    ADD COLUMN skipped_day_over bigint NOT NULL DEFAULT 0 CHECK (skipped_day_over >= 0);
UPDATE runs SET skipped_by_use = skipped;
COMMENT ON COLUMN runs.took_ms IS 'The time worked on it, without what lay between two nudges.';
COMMENT ON COLUMN runs.skipped_day_over IS
    'Whose day had ended before the run came to them, after a crash: a past day is not opened.';
ALTER TABLE runs ADD CONSTRAINT skipped_has_its_reasons CHECK
    (skipped = skipped_by_use + skipped_closed + skipped_dormant + skipped_day_over);

CREATE TABLE run_not_opened (
    run_id bigint NOT NULL REFERENCES runs ON DELETE RESTRICT,
    time_zone text NOT NULL,
    day_on date NOT NULL,
    opened_by text NOT NULL CHECK (opened_by IN ('run', 'use')),
    account_count bigint NOT NULL CHECK (account_count > 0),
    PRIMARY KEY (run_id, time_zone, day_on, opened_by)
);
COMMENT ON TABLE run_not_opened IS
    'The past dates that accounts of a run''s wave had not opened when this day was, by zone.';
CREATE INDEX run_not_opened_date ON run_not_opened (day_on);

ALTER TABLE accounts ADD COLUMN last_used_at timestamptz;
UPDATE accounts SET last_used_at = used.at
  FROM (SELECT account_id, max(recorded_at) AS at FROM entries
         WHERE kind IN ('spend', 'hold') GROUP BY account_id) AS used
 WHERE used.account_id = accounts.id;
COMMENT ON COLUMN accounts.last_used_at IS 'Its last spend, hold or capture; null for none yet.';
COMMENT ON COLUMN accounts.due_at IS
    'When the tick looks at it next. Past day_ends_at it is dormant: its next use opens its day.';
CREATE INDEX accounts_dormant ON accounts (time_zone)
    WHERE due_at > day_ends_at AND closed_at IS NULL;

ALTER TABLE daily_grants ADD COLUMN after_dormancy boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN daily_grants.after_dormancy IS
    'Runs had skipped the account as dormant: the dates between were not missed.';
CREATE INDEX daily_grants_by_use ON daily_grants (day_on, starts_at)
    WHERE run_id IS NULL AND previous_on IS NOT NULL AND NOT after_dormancy;

ALTER TABLE subscriptions ADD COLUMN failing_since timestamptz;
COMMENT ON COLUMN subscriptions.failing_since IS
    'The earliest failure since it was last in order; each day''s catalogue tells the grace.';
COMMENT ON COLUMN subscriptions.grace_ends_at IS
    'By the catalogue that it was derived with; where failing_since stands, that tells.';

GRANT SELECT, INSERT, UPDATE ON run_not_opened TO tallybook_app;
GRANT SELECT ON run_not_opened TO tallybook_read;
"""

DOWN = """
COMMENT ON COLUMN subscriptions.grace_ends_at IS NULL;
ALTER TABLE subscriptions DROP COLUMN failing_since;
DROP INDEX daily_grants_by_use;
ALTER TABLE daily_grants DROP COLUMN after_dormancy;
DROP INDEX accounts_dormant;
COMMENT ON COLUMN accounts.due_at IS NULL;
-- What was dormant is due again: the code before knows of no such thing.
UPDATE accounts SET due_at = day_ends_at WHERE due_at > day_ends_at AND closed_at IS NULL;
ALTER TABLE accounts DROP COLUMN last_used_at;
DROP TABLE run_not_opened;
ALTER TABLE runs DROP CONSTRAINT skipped_has_its_reasons, DROP COLUMN took_ms,
    DROP COLUMN skipped_by_use, DROP COLUMN skipped_closed, DROP COLUMN skipped_dormant,
    DROP COLUMN skipped_day_over;
"""


async def forwards() -> MigrationManager:
    """The migration."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
