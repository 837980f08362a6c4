-- Each reversal of a journal, an event or a run, and what it came to. Parts of a run's are reversals of
-- its journals. Parts of a return's are what it takes from each lot, and what is owed again.
CREATE TABLE reversals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- This and the ids below without REFERENCES name rows, see 12_references.sql.
    of_journal_id bigint UNIQUE,
    of_run_id bigint UNIQUE REFERENCES runs ON DELETE RESTRICT,
    of_event_id text UNIQUE REFERENCES events ON DELETE RESTRICT,
    part_of bigint,

    journal_id bigint UNIQUE,
    account_id bigint REFERENCES accounts ON DELETE RESTRICT,
    lot_id bigint REFERENCES lots ON DELETE RESTRICT,
    entry_id bigint,
    house text,
    policy text NOT NULL CHECK (policy IN ('write_off', 'debt', 'reject')),
    -- How an event's refund or dispute counts since this reversal, despite what Stripe says.
    standing text CHECK (standing IN ('out', 'counted', 'frozen')),

    requested bigint NOT NULL DEFAULT 0 CHECK (requested >= 0),
    clawed bigint NOT NULL DEFAULT 0 CHECK (clawed >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0),
    expired bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
    carried bigint NOT NULL DEFAULT 0 CHECK (carried >= 0), -- of what was given back, into today
    pending bigint NOT NULL DEFAULT 0 CHECK (pending >= 0), -- still held; taken at its release
    shortfall_reversed bigint NOT NULL DEFAULT 0 CHECK (shortfall_reversed >= 0),
    waived bigint NOT NULL DEFAULT 0 CHECK (waived >= 0), -- of the shortfall, by a repeated run

    -- The progress of a run's reversal.
    state text NOT NULL CHECK (state IN ('going', 'done')),
    journal_count bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    last_journal_id bigint NOT NULL DEFAULT 0,

    idempotency_key text UNIQUE,
    request_hash bytea,
    actor text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- What a return gave is spent again: each such part names its entry, and the whole names the return.
    CONSTRAINT one_thing CHECK (house IS NOT DISTINCT FROM 'spent'
        OR num_nonnulls(of_journal_id, of_run_id, of_event_id) = 1),
    CONSTRAINT part_of_a_return CHECK (house IS DISTINCT FROM 'spent'
        OR num_nonnulls(of_journal_id, of_run_id, of_event_id) = 0
           AND num_nonnulls(part_of, account_id, entry_id) = 3),
    CONSTRAINT never_more_than_requested CHECK (clawed + held + shortfall + expired <= requested)
);
CREATE INDEX reversals_lot ON reversals (lot_id) WHERE lot_id IS NOT NULL;
CREATE INDEX reversals_part ON reversals (part_of, id) WHERE part_of IS NOT NULL;
CREATE INDEX reversals_whole ON reversals (id) WHERE part_of IS NULL;
CREATE INDEX reversals_account ON reversals (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX reversals_of_return ON reversals (entry_id) WHERE house = 'spent';
CREATE INDEX reversals_going ON reversals (id) WHERE state = 'going';
