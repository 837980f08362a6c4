-- Each account-day as it was opened: exactly once, by its primary key.
CREATE TABLE daily_grants (
    account_id bigint NOT NULL, -- its lot's; this and the ids below name rows, see 12_references.sql
    day_on date NOT NULL,
    opening integer NOT NULL CHECK (opening >= 1),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    tier text NOT NULL,
    credits bigint NOT NULL CHECK (credits >= 0),
    previous_on date, -- the account's day before; the dates between were not opened
    -- Runs had skipped the account as dormant: the dates between were not missed.
    after_dormancy boolean NOT NULL DEFAULT false,
    lot_id bigint NOT NULL,
    -- What was carried into the day, and the most that ever may be: the limit of the tier with which
    -- the day before ended, by that day's catalogue. Of a day that is opened again its first
    -- opening says it.
    carried_lot_id bigint,
    carry_over_max bigint NOT NULL DEFAULT 0 CHECK (carry_over_max >= 0),
    -- The allowance with which the day before ended, less the use that was brought to it: what comes
    -- back to that day later is free as far as its own rule would have left it free.
    previous_allowed bigint NOT NULL DEFAULT 0 CHECK (previous_allowed >= 0),
    run_id bigint,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, day_on, opening),
    CONSTRAINT carried_as_may_be CHECK (carried_lot_id IS NOT NULL OR carry_over_max = 0),
    CONSTRAINT days_ascend CHECK (previous_on IS NULL OR opening > 1 OR previous_on < day_on)
);
CREATE INDEX daily_grants_wave ON daily_grants (day_on, starts_at);
CREATE INDEX daily_grants_by_use ON daily_grants (day_on, starts_at)
    WHERE run_id IS NULL AND previous_on IS NOT NULL AND NOT after_dormancy;
CREATE INDEX daily_grants_empty ON daily_grants (run_id, account_id)
    WHERE credits = 0 AND run_id IS NOT NULL;
