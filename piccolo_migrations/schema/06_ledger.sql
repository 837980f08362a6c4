-- One act in the ledger: who, why, when, from which source, and the earlier act it reverses.
CREATE TABLE journals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind journal_kind NOT NULL,
    source text NOT NULL,
    actor text NOT NULL,
    event_id text, -- this and the next two name rows, see 12_references.sql
    run_id bigint,
    reverses_journal_id bigint,
    idempotency_key text,
    request_hash bytea,
    label application_label, -- what it was for: a feature, a model, a job
    member application_label, -- who of the account's team did it
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT key_has_hash CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CONSTRAINT reversal_names_its_journal
        CHECK ((kind = 'reversal') = (reverses_journal_id IS NOT NULL))
);
CREATE UNIQUE INDEX journals_reverses ON journals (reverses_journal_id)
    WHERE reverses_journal_id IS NOT NULL; -- a journal is reversed once
-- Two namespaces: operators' routes, and all others.
CREATE UNIQUE INDEX journals_key ON journals (idempotency_key)
    WHERE idempotency_key IS NOT NULL AND kind NOT IN ('grant', 'adjustment', 'reversal', 'transfer');
CREATE UNIQUE INDEX journals_operators_key ON journals (idempotency_key)
    WHERE idempotency_key IS NOT NULL AND kind IN ('grant', 'adjustment', 'reversal', 'transfer');
CREATE INDEX journals_event ON journals (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX journals_label ON journals (label, id) WHERE label IS NOT NULL;
CREATE INDEX journals_member ON journals (member, id) WHERE member IS NOT NULL;
-- In order: a chunk of a reversal goes on after the last one's end.
CREATE INDEX journals_run ON journals (run_id, id) WHERE run_id IS NOT NULL;

-- A journal's free text, metadata and stored answer: apart, so that they can be erased.
CREATE TABLE notes (
    journal_id bigint PRIMARY KEY, -- names a row, see 12_references.sql
    reason text,
    metadata jsonb,
    answer jsonb
);

-- What is left of each grant or purchase; the sums of its entries.
CREATE TABLE lots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    source lot_source NOT NULL,
    priority lot_priority NOT NULL,
    granted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, -- 9999-12-31 means never
    granted natural_number NOT NULL,
    lapsed natural_number NOT NULL DEFAULT 0,
    moved natural_number NOT NULL DEFAULT 0, -- by transfers, in and out of what is free
    refunded bigint NOT NULL DEFAULT 0, -- taken for money back, less what came again
    free credits NOT NULL,
    held credits NOT NULL DEFAULT 0,
    live boolean NOT NULL, -- not empty, or of the running day: what a spend has to look at
    CONSTRAINT live_while_not_empty CHECK (live OR (free = 0 AND held = 0)),
    -- A pack whose refund failed has everything back, also what another lot had repaid for it: what
    -- was spent of it may come back besides.
    CONSTRAINT never_more_than_granted CHECK (free + held + lapsed <= granted - refunded)
) WITH (fillfactor = 80);
-- In the order of burning: a spend reads the first ones, however many there are.
CREATE INDEX lots_live ON lots (account_id, priority, expires_at, granted_at, id) WHERE live;
ALTER TABLE accounts ADD FOREIGN KEY (day_lot_id) REFERENCES lots ON DELETE RESTRICT,
    ADD FOREIGN KEY (day_carried_lot_id) REFERENCES lots ON DELETE RESTRICT;

-- The lot that goes on in place of one whose account was joined to another.
CREATE TABLE moved_lots (
    lot_id bigint PRIMARY KEY REFERENCES lots ON DELETE RESTRICT,
    to_lot_id bigint NOT NULL UNIQUE REFERENCES lots ON DELETE RESTRICT,
    moved_at timestamptz NOT NULL,
    CONSTRAINT into_a_later_lot CHECK (to_lot_id > lot_id)
);

-- Credits that are reserved until a deadline, and how much of them was captured.
CREATE TABLE holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    amount amount NOT NULL,
    captured natural_number NOT NULL DEFAULT 0, -- above the amount where more was asked for
    state text NOT NULL CHECK (state IN ('held', 'captured', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX holds_open ON holds (account_id) WHERE state = 'held';

-- The ledger: a positive amount from a debit side to a credit side, in one lot of one account.
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal_id bigint NOT NULL, -- it and the ids below name rows, see 12_references.sql
    account_id bigint NOT NULL,
    lot_id bigint NOT NULL,
    amount amount NOT NULL,
    free_after credits NOT NULL,
    held_after credits NOT NULL,
    debt_after credits NOT NULL,
    hold_id bigint,
    reverses_entry_id bigint,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- Last: between the integers, text would be padded.
    kind text NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    CONSTRAINT is_a_movement
        CHECK ((kind || ' ' || debit || ' ' || credit)::movement IS NOT NULL),
    CONSTRAINT held_names_its_hold CHECK (kind NOT IN ('hold', 'release') OR hold_id IS NOT NULL),
    CONSTRAINT reversal_names_its_entry CHECK (kind <> 'reversal' OR reverses_entry_id IS NOT NULL)
);
-- Within an account the order of recorded_at is that of the ids.
CREATE INDEX entries_account ON entries (account_id, recorded_at, id);
CREATE INDEX entries_journal ON entries (journal_id);
CREATE INDEX entries_lot ON entries (lot_id);
CREATE INDEX entries_hold ON entries (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX entries_reverses ON entries (reverses_entry_id) WHERE reverses_entry_id IS NOT NULL;
CREATE INDEX entries_repayments ON entries (account_id, id) WHERE kind = 'repayment';
CREATE INDEX entries_recorded ON entries USING brin (recorded_at);
CREATE INDEX entries_effective ON entries USING brin (effective_at);
