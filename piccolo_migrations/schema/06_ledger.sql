-- One act in the ledger: who, why, when, from which source, and the earlier act it reverses.
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
-- Two namespaces: operators' routes, and all others.
CREATE UNIQUE INDEX journals_key ON journals (idempotency_key)
    WHERE idempotency_key IS NOT NULL AND kind NOT IN ('grant', 'adjustment', 'reversal', 'transfer');
CREATE UNIQUE INDEX journals_operators_key ON journals (idempotency_key)
    WHERE idempotency_key IS NOT NULL AND kind IN ('grant', 'adjustment', 'reversal', 'transfer');
CREATE INDEX journals_event ON journals (event_id) WHERE event_id IS NOT NULL;
-- In order: a chunk of a reversal goes on after the last one's end.
CREATE INDEX journals_run ON journals (run_id, id) WHERE run_id IS NOT NULL;

-- A journal's free text, metadata and stored answer: apart, so that they can be erased.
CREATE TABLE notes (
    journal_id bigint PRIMARY KEY REFERENCES journals ON DELETE RESTRICT,
    reason text,
    metadata jsonb,
    answer jsonb
);

-- What is left of each grant or purchase; the sums of its entries.
CREATE TABLE lots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    source text NOT NULL CHECK (source IN ('daily', 'carried', 'promotional', 'purchased')),
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 1000),
    granted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, -- 9999-12-31 means never
    granted bigint NOT NULL CHECK (granted >= 0),
    lapsed bigint NOT NULL DEFAULT 0 CHECK (lapsed >= 0),
    free bigint NOT NULL CHECK (free >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    live boolean NOT NULL, -- not empty, or the running day's: what a spend has to look at
    CONSTRAINT live_while_not_empty CHECK (live OR (free = 0 AND held = 0)),
    CONSTRAINT never_more_than_granted CHECK (free + held + lapsed <= granted)
) WITH (fillfactor = 80);
CREATE INDEX lots_live ON lots (account_id) WHERE live;
ALTER TABLE accounts ADD FOREIGN KEY (day_lot_id) REFERENCES lots ON DELETE RESTRICT;

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
    amount bigint NOT NULL CHECK (amount BETWEEN 1 AND 1000000000000),
    captured bigint NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND amount),
    state text NOT NULL CHECK (state IN ('held', 'captured', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX holds_open ON holds (account_id) WHERE state = 'held';

-- The ledger: a positive amount from a debit side to a credit side, in one lot of one account.
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal_id bigint NOT NULL REFERENCES journals ON DELETE RESTRICT,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    lot_id bigint NOT NULL REFERENCES lots ON DELETE RESTRICT,
    amount bigint NOT NULL CHECK (amount BETWEEN 1 AND 1000000000000),
    free_after bigint NOT NULL CHECK (free_after BETWEEN 0 AND 9007199254740991),
    held_after bigint NOT NULL CHECK (held_after BETWEEN 0 AND 9007199254740991),
    debt_after bigint NOT NULL CHECK (debt_after BETWEEN 0 AND 9007199254740991),
    hold_id bigint REFERENCES holds ON DELETE RESTRICT,
    reverses_entry_id bigint REFERENCES entries ON DELETE RESTRICT,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- Last: between the integers, text would be padded.
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
        ('write_off', 'written_off', 'adjusted'), ('write_off', 'adjusted', 'written_off'),
        ('reversal', 'refunded', 'free'), ('reversal', 'free', 'refunded'),
        ('reversal', 'held', 'refunded'), ('reversal', 'debt', 'refunded'),
        ('write_off', 'written_off', 'refunded')
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
