-- The result of each whole `ledger verify`.
CREATE TABLE verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finished_at timestamptz NOT NULL,
    check_count integer NOT NULL CHECK (check_count > 0),
    row_count bigint NOT NULL CHECK (row_count >= 0),
    difference_count bigint NOT NULL CHECK (difference_count >= 0)
);

-- Credits by day and tier: the sums of the entries up to usage_fold.entry_id.
CREATE TABLE usage_days (
    day_on date NOT NULL,
    tier text NOT NULL,
    granted bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    purchased bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day_on, tier)
);

-- The last entry that usage_days counts.
CREATE TABLE usage_fold (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    entry_id bigint NOT NULL DEFAULT 0
);
INSERT INTO usage_fold DEFAULT VALUES;

-- Crossings of a threshold, each once: by its journal, or by its account-day.
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('low_balance', 'unusual_use', 'gift_disputed')),
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    tier text NOT NULL,
    day_on date,
    journal_id bigint REFERENCES journals ON DELETE RESTRICT,
    customer_id text, -- the payer of a gift that was taken back after it was spent
    threshold bigint NOT NULL,
    value bigint NOT NULL,
    raised_at timestamptz NOT NULL,
    CONSTRAINT low_balance_names_its_journal
        CHECK ((kind = 'low_balance') = (journal_id IS NOT NULL)),
    CONSTRAINT gift_names_its_payer CHECK (kind = 'gift_disputed' OR customer_id IS NULL)
);
CREATE UNIQUE INDEX alerts_low_balance ON alerts (account_id, journal_id)
    WHERE kind = 'low_balance';
CREATE UNIQUE INDEX alerts_unusual_use ON alerts (account_id, day_on) WHERE kind = 'unusual_use';
