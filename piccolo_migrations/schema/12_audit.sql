-- The result of each whole `ledger verify`.
CREATE TABLE verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finished_at timestamptz NOT NULL,
    check_count integer NOT NULL CHECK (check_count > 0),
    row_count bigint NOT NULL CHECK (row_count >= 0),
    difference_count bigint NOT NULL CHECK (difference_count >= 0)
);

-- A verification that the console was asked for: how far it is, and what each check found. One at a
-- time; one whose process died stops beating.
CREATE TABLE asked_verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_by text NOT NULL CHECK (asked_by <> ''),
    started_at timestamptz NOT NULL,
    beat_at timestamptz NOT NULL,
    finished_at timestamptz,
    check_count integer NOT NULL CHECK (check_count > 0),
    checks jsonb NOT NULL DEFAULT '[]', -- of each that is done: name, rows, differences
    error text
);
CREATE UNIQUE INDEX asked_verifications_going ON asked_verifications ((true))
    WHERE finished_at IS NULL;

-- Credits by day, tier, label and member: the sums of the entries up to usage_fold.entry_id. Only use
-- is for a label or by a member; the rest stands under none, ''.
CREATE TABLE usage_days (
    day_on date NOT NULL,
    tier text NOT NULL,
    label text NOT NULL,
    member text NOT NULL,
    granted bigint NOT NULL DEFAULT 0,
    purchased bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    returned bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    reversed bigint NOT NULL DEFAULT 0,
    adjusted bigint NOT NULL DEFAULT 0,
    transferred bigint NOT NULL DEFAULT 0,
    use_reversed bigint NOT NULL DEFAULT 0, -- the part of reversed that undoes use
    PRIMARY KEY (day_on, tier, label, member)
);

-- The same in all, by day and tier alone: a few rows a day, however many labels and members there are.
CREATE TABLE usage_totals (
    day_on date NOT NULL,
    tier text NOT NULL,
    granted bigint NOT NULL DEFAULT 0,
    purchased bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    returned bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    reversed bigint NOT NULL DEFAULT 0,
    adjusted bigint NOT NULL DEFAULT 0,
    transferred bigint NOT NULL DEFAULT 0,
    use_reversed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day_on, tier)
);

-- The last entry that usage_days and usage_totals count.
CREATE TABLE usage_fold (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    entry_id bigint NOT NULL DEFAULT 0,
    alerted_to bigint NOT NULL DEFAULT 0 -- alerts were raised for the entries up to this one
);
INSERT INTO usage_fold DEFAULT VALUES;

-- Alerts on accounts: crossings of a level by a journal, unusual use of an account-day, holds that
-- nobody ended, gifts whose money went back.
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN
        ('low', 'depleted', 'recovered', 'unusual_use', 'hold_leaked', 'gift_disputed')),
    -- No foreign key: its check would wait for who has the account locked, and then hold up others.
    -- Two who write alerts and spends of several accounts would wait for each other.
    account_id bigint NOT NULL,
    tier text NOT NULL,
    day_on date,
    journal_id bigint REFERENCES journals ON DELETE RESTRICT,
    hold_id bigint REFERENCES holds ON DELETE RESTRICT,
    customer_id text, -- the payer of a gift that was taken back after it was spent
    threshold bigint NOT NULL,
    value bigint NOT NULL,
    effective_at timestamptz NOT NULL, -- when it happened; it may be raised later
    raised_at timestamptz NOT NULL,
    CONSTRAINT crossing_names_its_journal
        CHECK ((kind IN ('low', 'depleted', 'recovered')) = (journal_id IS NOT NULL)),
    CONSTRAINT leak_names_its_hold CHECK ((kind = 'hold_leaked') = (hold_id IS NOT NULL)),
    CONSTRAINT gift_names_its_payer CHECK (kind = 'gift_disputed' OR customer_id IS NULL)
);
CREATE UNIQUE INDEX alerts_crossing ON alerts (account_id, journal_id, kind)
    WHERE journal_id IS NOT NULL;
CREATE INDEX alerts_standing ON alerts (account_id, id)
    WHERE kind IN ('low', 'depleted', 'recovered');
CREATE UNIQUE INDEX alerts_hold_leaked ON alerts (hold_id) WHERE kind = 'hold_leaked';
CREATE UNIQUE INDEX alerts_unusual_use ON alerts (account_id, day_on) WHERE kind = 'unusual_use';

-- How many alerts of each kind there are: to count them at each scrape takes longer each month.
CREATE TABLE alert_counts (
    kind text PRIMARY KEY,
    alert_count bigint NOT NULL CHECK (alert_count > 0)
);

CREATE FUNCTION count_alerts() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO alert_counts AS stands (kind, alert_count)
    SELECT kind, count(*) FROM added GROUP BY kind ORDER BY kind
    ON CONFLICT (kind) DO UPDATE SET alert_count = stands.alert_count + excluded.alert_count;
    RETURN NULL;
END $$;
CREATE TRIGGER count_added AFTER INSERT ON alerts REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_alerts();
