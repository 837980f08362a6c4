"""Reconciliations with Stripe: one an hour at most, what each came to, and how far it is."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import append_only, migration

ID = "2026-11-22T11:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Reconciliations with Stripe, what each saw there and what it brought."

UP = """
CREATE TABLE reconciliations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hour_at timestamptz UNIQUE,
    started_by text NOT NULL,
    dry_run boolean NOT NULL,
    since_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    leased_until timestamptz NOT NULL,
    part text NOT NULL DEFAULT 'events' CHECK (part IN ('events', 'listed', 'unlisted', 'done')),
    reached text,
    events_taken bigint NOT NULL DEFAULT 0 CHECK (events_taken >= 0),
    compared bigint NOT NULL DEFAULT 0 CHECK (compared >= 0),
    recognized bigint NOT NULL DEFAULT 0 CHECK (recognized >= 0),
    mended bigint NOT NULL DEFAULT 0 CHECK (mended >= 0),
    waiting bigint NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    unmended bigint NOT NULL DEFAULT 0 CHECK (unmended >= 0),
    notes text[] NOT NULL DEFAULT '{}',
    CONSTRAINT done_is_finished CHECK ((part = 'done') = (finished_at IS NOT NULL))
);
COMMENT ON COLUMN reconciliations.hour_at IS 'Its hour; null where it was asked for.';
COMMENT ON COLUMN reconciliations.reached IS 'The last of the part that was done.';
COMMENT ON COLUMN reconciliations.leased_until IS 'Who works on it has it until then.';
COMMENT ON COLUMN reconciliations.recognized IS
    'How many listed subscriptions a webhook told of: it is the same Stripe account.';
CREATE INDEX reconciliations_going ON reconciliations (id) WHERE finished_at IS NULL;

CREATE TABLE sightings (
    subscription_id text PRIMARY KEY REFERENCES subscriptions ON DELETE RESTRICT,
    reconciliation_id bigint NOT NULL REFERENCES reconciliations ON DELETE RESTRICT
);
COMMENT ON TABLE sightings IS 'The last reconciliation in which Stripe listed the subscription.';

CREATE TABLE fetched_events (
    event_id text PRIMARY KEY,
    reconciliation_id bigint NOT NULL REFERENCES reconciliations ON DELETE RESTRICT
);
COMMENT ON TABLE fetched_events IS 'Events that no webhook brought; written just before each.';

GRANT SELECT, INSERT ON fetched_events TO tallybook_app;
GRANT SELECT ON fetched_events TO tallybook_read;
GRANT SELECT, INSERT, UPDATE ON reconciliations, sightings TO tallybook_app;
GRANT SELECT ON reconciliations, sightings TO tallybook_read;
GRANT USAGE ON SEQUENCE reconciliations_id_seq TO tallybook_app;
GRANT SELECT ON SEQUENCE reconciliations_id_seq TO tallybook_app, tallybook_read;
"""

DOWN = """
DROP TABLE fetched_events;
DROP TABLE sightings;
DROP TABLE reconciliations;
"""


async def forwards() -> MigrationManager:
    """What Piccolo runs."""
    return migration(ID, DESCRIPTION, up=UP + append_only("fetched_events"), down=DOWN)
