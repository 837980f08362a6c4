"""What operators did, with a reason, append-only; and the verdicts of `ledger verify`."""

from __future__ import annotations

from typing import Final

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import append_only, migration

ID = "2026-11-22T11:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Operator acts and verifications."

TABLES: Final = """
CREATE TABLE operator_acts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text NOT NULL CHECK (actor <> ''),
    act text NOT NULL CHECK (act ~ '^[a-z_]{1,40}$'),
    reason text CHECK (reason <> ''),
    subject text CHECK (subject <> ''),
    account_id bigint REFERENCES accounts ON DELETE RESTRICT,
    journal_id bigint REFERENCES journals ON DELETE RESTRICT,
    event_id text REFERENCES events ON DELETE RESTRICT,
    run_id bigint REFERENCES runs ON DELETE RESTRICT,
    at timestamptz NOT NULL
);
COMMENT ON COLUMN operator_acts.actor IS 'A key''s id, or cli: and a user of the machine';
COMMENT ON COLUMN operator_acts.subject IS 'A key, a catalogue, a reversal';
CREATE INDEX operator_acts_account ON operator_acts (account_id, id) WHERE account_id IS NOT NULL;

CREATE TABLE verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finished_at timestamptz NOT NULL,
    check_count integer NOT NULL CHECK (check_count > 0),
    row_count bigint NOT NULL CHECK (row_count >= 0),
    difference_count bigint NOT NULL CHECK (difference_count >= 0)
);
COMMENT ON TABLE verifications IS 'One row for each whole `ledger verify`: what it came to.';
"""

ROLES: Final = """
GRANT SELECT, INSERT ON operator_acts, verifications TO tallybook_app;
GRANT SELECT ON operator_acts, verifications TO tallybook_read;
GRANT USAGE ON SEQUENCE operator_acts_id_seq, verifications_id_seq TO tallybook_app;
GRANT SELECT ON SEQUENCE operator_acts_id_seq, verifications_id_seq
    TO tallybook_app, tallybook_read;
"""


async def forwards() -> MigrationManager:
    """Make both tables."""
    return migration(
        ID, DESCRIPTION,
        up=TABLES + append_only("operator_acts", "verifications") + ROLES,
        down="DROP TABLE operator_acts, verifications",
    )  # fmt: skip
