"""Usage by day and tier, folded from the entries; alerts, each raised once for a crossing."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import append_only, migration

ID = "2026-11-22T11:46:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Usage by day and tier; alerts."

UP = f"""
CREATE TABLE usage_days (
    day_on date NOT NULL,
    tier text NOT NULL,
    granted bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    purchased bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day_on, tier)
);
COMMENT ON TABLE usage_days IS 'A projection of the entries up to usage_fold.entry_id.';

CREATE TABLE usage_fold (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    entry_id bigint NOT NULL DEFAULT 0
);
INSERT INTO usage_fold DEFAULT VALUES;

CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('low_balance', 'unusual_use')),
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    tier text NOT NULL,
    day_on date,
    journal_id bigint REFERENCES journals ON DELETE RESTRICT,
    threshold bigint NOT NULL,
    value bigint NOT NULL,
    raised_at timestamptz NOT NULL,
    CONSTRAINT low_balance_names_its_journal
        CHECK ((kind = 'low_balance') = (journal_id IS NOT NULL))
);
COMMENT ON TABLE alerts IS 'Each crossing once: its journal, or its account-day.';
CREATE UNIQUE INDEX alerts_low_balance ON alerts (account_id, journal_id)
    WHERE kind = 'low_balance';
CREATE UNIQUE INDEX alerts_unusual_use ON alerts (account_id, day_on) WHERE kind = 'unusual_use';
{append_only("alerts")}
GRANT SELECT, INSERT, UPDATE ON usage_days TO tallybook_app;
GRANT SELECT, UPDATE ON usage_fold TO tallybook_app;
GRANT SELECT, INSERT ON alerts TO tallybook_app;
GRANT USAGE, SELECT ON SEQUENCE alerts_id_seq TO tallybook_app;
GRANT SELECT ON SEQUENCE alerts_id_seq TO tallybook_read;
GRANT SELECT ON usage_days, usage_fold, alerts TO tallybook_read;
"""

DOWN = """
DROP TABLE alerts, usage_fold, usage_days;
"""


async def forwards() -> MigrationManager:
    """The migration."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
