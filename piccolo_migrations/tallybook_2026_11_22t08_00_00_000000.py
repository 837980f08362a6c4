"""The first schema: accounts, ledger, subscriptions, inbox, grants, keys; triggers and roles."""

from __future__ import annotations

from typing import Final

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-22T08:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The first schema."

AMOUNT_MAX: Final = 10**12
BALANCE_MAX: Final = 2**53 - 1

CLOCK: Final = """
CREATE TABLE dev_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    standing_at timestamptz,
    ahead interval NOT NULL DEFAULT '0'
);
COMMENT ON TABLE dev_clock IS 'Empty in production: now is the database''s clock.';

CREATE FUNCTION tallybook_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT coalesce((SELECT coalesce(standing_at, clock_timestamp() + ahead) FROM dev_clock),
                    clock_timestamp())
$$;
"""

CATALOGUES: Final = """
CREATE TABLE catalogues (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content text NOT NULL,
    applied_at timestamptz NOT NULL,
    applied_by text NOT NULL
);
"""

ACCOUNTS: Final = f"""
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    external_id text UNIQUE CHECK (external_id ~ '^[A-Za-z0-9._:@-]{{1,128}}$'),
    -- the ledger's projection of this account's entries
    free bigint NOT NULL DEFAULT 0 CHECK (free BETWEEN 0 AND {BALANCE_MAX}),
    held bigint NOT NULL DEFAULT 0 CHECK (held BETWEEN 0 AND {BALANCE_MAX}),
    debt bigint NOT NULL DEFAULT 0 CHECK (debt BETWEEN 0 AND {BALANCE_MAX}),
    -- the running day
    tier text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    day_on date,
    day_opening integer NOT NULL DEFAULT 1,
    day_starts_at timestamptz,
    day_ends_at timestamptz,
    day_lot_id bigint,
    day_catalogue_id bigint REFERENCES catalogues ON DELETE RESTRICT,
    day_used_brought bigint NOT NULL DEFAULT 0 CHECK (day_used_brought >= 0),
    day_withdrawn boolean NOT NULL DEFAULT false,
    due_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    joined_to bigint REFERENCES accounts ON DELETE RESTRICT,
    CONSTRAINT debt_never_beside_free CHECK (debt = 0 OR free = 0),
    CONSTRAINT day_whole CHECK (num_nulls(day_on, day_starts_at, day_ends_at) IN (0, 3)),
    CONSTRAINT joined_is_closed CHECK (joined_to IS NULL OR closed_at IS NOT NULL)
) WITH (fillfactor = 80);
COMMENT ON COLUMN accounts.day_used_brought IS
    'What a joined account had used of its own lot on this day: it counts against the allowance.';
COMMENT ON COLUMN accounts.day_withdrawn IS 'The running day''s opening was reversed.';
CREATE INDEX accounts_due ON accounts (due_at, id);

CREATE TABLE customers (
    id text PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    rank smallint NOT NULL CHECK (rank BETWEEN 1 AND 5),
    tied_at timestamptz NOT NULL
);
COMMENT ON COLUMN customers.rank IS
    '1 PUT, 2 client_reference_id, 3 subscription metadata, 4 customer metadata, 5 its own id';
CREATE INDEX customers_account ON customers (account_id);
"""

EVENTS: Final = """
CREATE TABLE events (
    id text PRIMARY KEY,
    type text NOT NULL,
    api_version text,
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    payload bytea NOT NULL,
    verdict text NOT NULL CHECK (verdict IN
        ('applied', 'stale', 'ignored', 'parked', 'refused', 'queued')),
    verdict_reason text NOT NULL,
    subscription_id text,
    customer_id text,
    attempt_count integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    error text,
    delivery_count integer NOT NULL DEFAULT 1,
    CONSTRAINT queued_has_next_attempt CHECK ((verdict = 'queued') = (next_attempt_at IS NOT NULL))
);
CREATE INDEX events_queued ON events (next_attempt_at) WHERE verdict = 'queued';
CREATE INDEX events_parked ON events (received_at) WHERE verdict = 'parked';
CREATE INDEX events_subscription ON events (subscription_id, created_at)
    WHERE subscription_id IS NOT NULL;
CREATE INDEX events_received ON events (received_at, id);

CREATE TABLE facts (
    event_id text PRIMARY KEY REFERENCES events ON DELETE RESTRICT,
    subscription_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    body jsonb NOT NULL
);
COMMENT ON TABLE facts IS 'What each event says of its subscription, free of API versions.';
CREATE INDEX facts_subscription ON facts (subscription_id, occurred_at);
"""

SUBSCRIPTIONS: Final = """
CREATE TABLE subscriptions (
    id text PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    customer_id text NOT NULL REFERENCES customers ON DELETE RESTRICT,
    state text NOT NULL CHECK (state IN ('created', 'active', 'past_due', 'canceled')),
    status text,
    price_id text,
    price_ids text[] NOT NULL DEFAULT '{}',
    period_end_at timestamptz,
    billing_cycle text,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    tier text,
    grace_tier text,
    grace_ends_at timestamptz,
    last_event_id text REFERENCES events ON DELETE RESTRICT,
    last_event_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN subscriptions.tier IS 'What it gives now, but for grace; null gives nothing.';
COMMENT ON COLUMN subscriptions.grace_tier IS 'What it gives until grace_ends_at.';
CREATE INDEX subscriptions_account ON subscriptions (account_id);
CREATE INDEX subscriptions_customer ON subscriptions (customer_id);

CREATE TABLE transitions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id text NOT NULL REFERENCES subscriptions ON DELETE RESTRICT,
    from_state text CHECK (from_state IN ('created', 'active', 'past_due', 'canceled')),
    to_state text NOT NULL CHECK (to_state IN ('created', 'active', 'past_due', 'canceled')),
    trigger text NOT NULL,
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX transitions_subscription ON transitions (subscription_id, id);
"""

LEDGER: Final = f"""
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day_on date NOT NULL,
    wave_at timestamptz NOT NULL,
    catalogue_id bigint NOT NULL REFERENCES catalogues ON DELETE RESTRICT,
    state text NOT NULL CHECK (state IN ('going', 'done')),
    started_by text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    expected bigint NOT NULL DEFAULT 0,
    issued bigint NOT NULL DEFAULT 0,
    issued_credits bigint NOT NULL DEFAULT 0,
    expired_credits bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    not_opened bigint NOT NULL DEFAULT 0,
    UNIQUE (day_on, wave_at)
);
COMMENT ON COLUMN runs.wave_at IS 'The instant at which this day starts in the wave''s zones.';

CREATE TABLE journals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('opening', 'top_up', 'trim', 'expiry', 'grant', 'spend',
        'hold', 'capture', 'release', 'purchase', 'refund', 'freeze', 'unfreeze', 'adjustment',
        'transfer', 'reversal')),
    source text NOT NULL,
    actor text NOT NULL,
    event_id text REFERENCES events ON DELETE RESTRICT,
    run_id bigint REFERENCES runs ON DELETE RESTRICT,
    reverses_journal_id bigint UNIQUE REFERENCES journals ON DELETE RESTRICT,
    idempotency_key text,
    request_hash bytea,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT key_has_hash CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CONSTRAINT reversal_names_its_journal
        CHECK ((kind = 'reversal') = (reverses_journal_id IS NOT NULL))
);
CREATE UNIQUE INDEX journals_key ON journals (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX journals_event ON journals (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX journals_run ON journals (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE notes (
    journal_id bigint PRIMARY KEY REFERENCES journals ON DELETE RESTRICT,
    reason text,
    metadata jsonb,
    answer jsonb
);
COMMENT ON TABLE notes IS
    'Free text, metadata and the stored answer of a journal: here, so that it can be erased.';

CREATE TABLE lots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    source text NOT NULL CHECK (source IN ('daily', 'carried', 'promotional', 'purchased')),
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 1000),
    granted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    granted bigint NOT NULL CHECK (granted >= 0),
    lapsed bigint NOT NULL DEFAULT 0 CHECK (lapsed >= 0),
    free bigint NOT NULL CHECK (free >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    live boolean NOT NULL,
    CONSTRAINT live_while_not_empty CHECK (live OR (free = 0 AND held = 0)),
    CONSTRAINT never_more_than_granted CHECK (free + held + lapsed <= granted)
) WITH (fillfactor = 80);
COMMENT ON COLUMN lots.expires_at IS '9999-12-31 means never';
COMMENT ON COLUMN lots.live IS 'Not empty, or the running day''s: what a spend has to look at.';
CREATE INDEX lots_live ON lots (account_id) WHERE live;
ALTER TABLE accounts ADD FOREIGN KEY (day_lot_id) REFERENCES lots ON DELETE RESTRICT;

CREATE TABLE holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    amount bigint NOT NULL CHECK (amount BETWEEN 1 AND {AMOUNT_MAX}),
    captured bigint NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND amount),
    state text NOT NULL CHECK (state IN ('held', 'captured', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX holds_open ON holds (account_id) WHERE state = 'held';

CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal_id bigint NOT NULL REFERENCES journals ON DELETE RESTRICT,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    lot_id bigint NOT NULL REFERENCES lots ON DELETE RESTRICT,
    amount bigint NOT NULL CHECK (amount BETWEEN 1 AND {AMOUNT_MAX}),
    free_after bigint NOT NULL CHECK (free_after BETWEEN 0 AND {BALANCE_MAX}),
    held_after bigint NOT NULL CHECK (held_after BETWEEN 0 AND {BALANCE_MAX}),
    debt_after bigint NOT NULL CHECK (debt_after BETWEEN 0 AND {BALANCE_MAX}),
    hold_id bigint REFERENCES holds ON DELETE RESTRICT,
    reverses_entry_id bigint REFERENCES entries ON DELETE RESTRICT,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    kind text NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    CONSTRAINT kind_has_its_house CHECK ((kind, debit, credit) IN (
        ('grant', 'issued', 'free'),
        ('spend', 'free', 'spent'), ('spend', 'held', 'spent'),
        ('expiry', 'free', 'expired'),
        ('hold', 'free', 'held'), ('release', 'held', 'free'),
        ('purchase', 'purchased', 'free'),
        ('refund', 'free', 'refunded'), ('refund', 'held', 'refunded'),
        ('refund', 'debt', 'refunded'), ('refund', 'refunded', 'free'),
        ('freeze', 'free', 'held'), ('unfreeze', 'held', 'free'),
        ('repayment', 'free', 'debt'),
        ('adjustment', 'adjusted', 'free'), ('adjustment', 'free', 'adjusted'),
        ('transfer', 'free', 'transferred'), ('transfer', 'transferred', 'free'),
        ('transfer', 'held', 'transferred'), ('transfer', 'transferred', 'held'),
        ('transfer', 'debt', 'transferred'), ('transfer', 'transferred', 'debt'),
        ('reversal', 'spent', 'free'),
        ('reversal', 'free', 'issued'), ('reversal', 'held', 'issued'),
        ('reversal', 'debt', 'issued'), ('reversal', 'issued', 'debt'),
        ('reversal', 'free', 'purchased'), ('reversal', 'held', 'purchased'),
        ('reversal', 'debt', 'purchased'), ('reversal', 'purchased', 'debt'),
        ('reversal', 'free', 'adjusted'), ('reversal', 'debt', 'adjusted'),
        ('reversal', 'adjusted', 'free'), ('reversal', 'adjusted', 'debt'),
        ('write_off', 'written_off', 'issued'), ('write_off', 'issued', 'written_off'),
        ('write_off', 'written_off', 'purchased'), ('write_off', 'purchased', 'written_off'),
        ('write_off', 'written_off', 'adjusted'), ('write_off', 'adjusted', 'written_off')
    )),
    CONSTRAINT held_names_its_hold CHECK (kind NOT IN ('hold', 'release') OR hold_id IS NOT NULL),
    CONSTRAINT reversal_names_its_entry CHECK (kind <> 'reversal' OR reverses_entry_id IS NOT NULL)
);
CREATE INDEX entries_account ON entries (account_id, id);
CREATE INDEX entries_as_of ON entries (account_id, recorded_at, id);
CREATE INDEX entries_journal ON entries (journal_id);
CREATE INDEX entries_lot ON entries (lot_id);
CREATE INDEX entries_hold ON entries (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX entries_reverses ON entries (reverses_entry_id) WHERE reverses_entry_id IS NOT NULL;
CREATE INDEX entries_recorded ON entries USING brin (recorded_at);
CREATE INDEX entries_effective ON entries USING brin (effective_at);

CREATE TABLE daily_grants (
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    day_on date NOT NULL,
    opening integer NOT NULL CHECK (opening >= 1),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    tier text NOT NULL,
    credits bigint NOT NULL CHECK (credits >= 0),
    previous_on date,
    lot_id bigint NOT NULL REFERENCES lots ON DELETE RESTRICT,
    run_id bigint REFERENCES runs ON DELETE RESTRICT,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, day_on, opening),
    CONSTRAINT days_ascend CHECK (previous_on IS NULL OR opening > 1 OR previous_on < day_on)
);
COMMENT ON TABLE daily_grants IS 'Each account-day is opened exactly once: its primary key.';
COMMENT ON COLUMN daily_grants.previous_on IS
    'The account''s day before; the dates between were not opened.';
CREATE INDEX daily_grants_wave ON daily_grants (day_on, starts_at);
"""

REVERSALS: Final = """
CREATE TABLE reversals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    of_journal_id bigint UNIQUE REFERENCES journals ON DELETE RESTRICT,
    of_run_id bigint UNIQUE REFERENCES runs ON DELETE RESTRICT,
    of_event_id text UNIQUE REFERENCES events ON DELETE RESTRICT,
    part_of bigint REFERENCES reversals ON DELETE RESTRICT,
    journal_id bigint UNIQUE REFERENCES journals ON DELETE RESTRICT,
    account_id bigint REFERENCES accounts ON DELETE RESTRICT,
    lot_id bigint REFERENCES lots ON DELETE RESTRICT,
    entry_id bigint REFERENCES entries ON DELETE RESTRICT,
    house text,
    policy text NOT NULL CHECK (policy IN ('write_off', 'debt', 'reject')),
    state text NOT NULL CHECK (state IN ('going', 'done')),
    requested bigint NOT NULL DEFAULT 0 CHECK (requested >= 0),
    clawed bigint NOT NULL DEFAULT 0 CHECK (clawed >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0),
    expired bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
    journal_count bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    to_claw bigint NOT NULL DEFAULT 0 CHECK (to_claw >= 0),
    undone bigint NOT NULL DEFAULT 0 CHECK (undone >= 0),
    last_journal_id bigint NOT NULL DEFAULT 0,
    idempotency_key text UNIQUE,
    request_hash bytea,
    actor text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT one_thing CHECK (num_nonnulls(of_journal_id, of_run_id, of_event_id) = 1),
    CONSTRAINT never_more_than_requested CHECK (clawed + held + shortfall + expired <= requested)
);
COMMENT ON COLUMN reversals.to_claw IS 'What is still held of the lot, and taken at its release.';
COMMENT ON COLUMN reversals.undone IS 'What of the shortfall was undone since.';
CREATE INDEX reversals_lot ON reversals (lot_id) WHERE lot_id IS NOT NULL;
CREATE INDEX reversals_part ON reversals (part_of) WHERE part_of IS NOT NULL;
CREATE INDEX reversals_going ON reversals (id) WHERE state = 'going';
"""

KEYS: Final = """
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['service', 'auditor', 'operator']
        AND cardinality(scopes) > 0),
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
"""

APPEND_ONLY: Final = ("journals", "entries", "transitions", "daily_grants", "facts", "catalogues")

REFUSE: Final = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'Write a reversal instead.';
END $$;

CREATE FUNCTION keep_payload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.id, NEW.type, NEW.created_at, NEW.received_at, NEW.payload)
        IS DISTINCT FROM ROW(OLD.id, OLD.type, OLD.created_at, OLD.received_at, OLD.payload) THEN
        RAISE EXCEPTION 'events keep what Stripe sent: UPDATE refused'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_payload BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION keep_payload();
CREATE TRIGGER refuse_delete BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def _append_only(table: str) -> str:
    return f"""
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


# The group roles own nothing; `tallybook migrate` puts the login of DATABASE_URL into
# tallybook_app and that of DATABASE_READ_URL into tallybook_read. Roles belong to the cluster:
# another book in it may have made them already, or be making them now.
ROLES: Final = """
DO $$
DECLARE role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['tallybook_app', 'tallybook_read'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tallybook_app, tallybook_read;
GRANT SELECT, INSERT ON accounts, customers, events, facts, subscriptions, transitions, catalogues,
    runs, journals, notes, lots, holds, entries, daily_grants, reversals, api_keys, dev_clock
    TO tallybook_app;
GRANT UPDATE ON accounts, customers, events, subscriptions, runs, lots, holds, reversals, api_keys,
    dev_clock TO tallybook_app;
GRANT SELECT ON migration TO tallybook_app, tallybook_read;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tallybook_app;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO tallybook_app, tallybook_read;
GRANT SELECT ON accounts, customers, events, facts, subscriptions, transitions, catalogues, runs,
    journals, notes, lots, holds, entries, daily_grants, reversals, dev_clock TO tallybook_read;
"""

TABLES: Final = (
    "reversals", "daily_grants", "entries", "holds", "notes", "journals", "runs", "transitions",
    "subscriptions", "facts", "events", "customers", "lots", "accounts", "catalogues", "api_keys",
    "dev_clock",
)  # fmt: skip


PARTS: Final = (
    CLOCK, CATALOGUES, ACCOUNTS, EVENTS, SUBSCRIPTIONS, LEDGER, REVERSALS, KEYS, REFUSE,
)  # fmt: skip


async def _execute(script: str) -> None:
    engine = engine_finder()
    assert engine is not None
    # Several statements in one call need the simple protocol, hence the connection itself.
    await engine.current_transaction.get().connection.execute(script)


async def forwards() -> MigrationManager:
    """Make the schema; the roles come last, since they name every table."""
    manager = MigrationManager(migration_id=ID, app_name="tallybook", description=DESCRIPTION)

    async def up() -> None:
        for part in PARTS:
            await _execute(part)
        for table in APPEND_ONLY:
            await _execute(_append_only(table))
        await _execute(ROLES)

    async def down() -> None:
        await _execute("ALTER TABLE accounts DROP CONSTRAINT accounts_day_lot_id_fkey")
        await _execute(f"DROP TABLE {', '.join(TABLES)}")
        await _execute("DROP FUNCTION tallybook_now, refuse_change, keep_payload")

    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
