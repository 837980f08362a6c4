"""What ties a customer: each event's claim, the use that travels, and when it was deleted."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import migration

ID = "2026-11-22T11:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Claims on customers, and use that travels."

UP = """
CREATE TABLE claims (
    customer_id text NOT NULL,
    rank smallint NOT NULL CHECK (rank BETWEEN 2 AND 4),
    object_id text NOT NULL,
    external_id text NOT NULL CHECK (external_id ~ '^[A-Za-z0-9._:@-]{0,128}$'),
    first_at timestamptz NOT NULL,
    first_event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    last_at timestamptz NOT NULL,
    last_event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    stands boolean NOT NULL,
    PRIMARY KEY (customer_id, rank, object_id, external_id)
);
COMMENT ON TABLE claims IS
    'What events say of whose account a customer is; the tie is derived from all of them.';
COMMENT ON COLUMN claims.object_id IS
    'The subscription or customer whose metadata says it; empty where a Checkout session does.';
COMMENT ON COLUMN claims.external_id IS 'Empty where the metadata names no account.';
COMMENT ON COLUMN claims.stands IS 'The object''s latest snapshot says so.';

CREATE TABLE brought_use (
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    day_on date NOT NULL,
    opening integer NOT NULL,
    from_account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    amount bigint NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (account_id, day_on, opening, from_account_id)
);
COMMENT ON TABLE brought_use IS
    'What accounts.day_used_brought adds up: whose use came with a customer, counted once.';

ALTER TABLE customers ADD COLUMN deleted_at timestamptz,
    ADD COLUMN deleted_event_id text REFERENCES events ON DELETE RESTRICT;
COMMENT ON COLUMN customers.deleted_at IS 'Its subscriptions are canceled, later arrivals too.';

GRANT SELECT, INSERT, UPDATE ON claims, brought_use TO tallybook_app;
GRANT SELECT ON claims, brought_use TO tallybook_read;
"""

DOWN = """
ALTER TABLE customers DROP COLUMN deleted_at, DROP COLUMN deleted_event_id;
DROP TABLE claims, brought_use;
"""


async def forwards() -> MigrationManager:
    """Make the tables."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
