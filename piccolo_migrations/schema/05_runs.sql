-- The daily runs: one for each date and each instant at which that date starts somewhere.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day_on date NOT NULL,
    wave_at timestamptz NOT NULL, -- the instant at which this day starts in the wave's zones
    -- Above 1 the run opens again the days of a reversed run: their opening number.
    opening integer NOT NULL DEFAULT 1 CHECK (opening >= 1),
    catalogue_id bigint NOT NULL REFERENCES catalogues ON DELETE RESTRICT,

    state text NOT NULL CHECK (state IN ('going', 'done')),
    started_by text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    took_ms bigint NOT NULL DEFAULT 0 CHECK (took_ms >= 0), -- without the time between two nudges

    -- The accounts of the wave, and the credits that the run posted.
    expected bigint NOT NULL DEFAULT 0,
    issued bigint NOT NULL DEFAULT 0,
    issued_credits bigint NOT NULL DEFAULT 0,
    expired_credits bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    not_opened bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    skipped_by_use bigint NOT NULL DEFAULT 0 CHECK (skipped_by_use >= 0),
    skipped_closed bigint NOT NULL DEFAULT 0 CHECK (skipped_closed >= 0),
    skipped_dormant bigint NOT NULL DEFAULT 0 CHECK (skipped_dormant >= 0),
    -- Their day had ended before the run came to them, after a crash: a past day is not opened.
    skipped_day_over bigint NOT NULL DEFAULT 0 CHECK (skipped_day_over >= 0),

    UNIQUE (day_on, wave_at, opening),
    CONSTRAINT skipped_has_its_reasons CHECK
        (skipped = skipped_by_use + skipped_closed + skipped_dormant + skipped_day_over)
);

-- Mark the transaction as one that adds runs: the horizon of their list waits for it. A chunk, which
-- only counts in the row of its run, has the table's lock as well and is not waited for.
CREATE FUNCTION mark_adding() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(TG_RELID::int, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER mark_adding BEFORE INSERT ON runs FOR EACH STATEMENT EXECUTE FUNCTION mark_adding();

-- The past dates that accounts of a run's wave had not opened when this day was, by zone.
CREATE TABLE run_not_opened (
    run_id bigint NOT NULL REFERENCES runs ON DELETE RESTRICT,
    time_zone text NOT NULL,
    day_on date NOT NULL,
    opened_by text NOT NULL CHECK (opened_by IN ('run', 'use')),
    account_count bigint NOT NULL CHECK (account_count > 0),
    PRIMARY KEY (run_id, time_zone, day_on, opened_by)
);
CREATE INDEX run_not_opened_date ON run_not_opened (day_on);
