-- Each comparison with Stripe's own lists: one an hour at most, how far it is, and what it found.
CREATE TABLE reconciliations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hour_at timestamptz UNIQUE, -- its hour; null if somebody asked for it
    started_by text NOT NULL,
    dry_run boolean NOT NULL,
    since_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    leased_until timestamptz NOT NULL, -- the process that works on it has it until then
    part text NOT NULL DEFAULT 'events'
        CHECK (part IN ('events', 'money', 'listed', 'unlisted', 'done')),
    reached text, -- the last of the part that was done

    events_taken bigint NOT NULL DEFAULT 0 CHECK (events_taken >= 0),
    compared bigint NOT NULL DEFAULT 0 CHECK (compared >= 0),
    payments bigint NOT NULL DEFAULT 0 CHECK (payments >= 0), -- sessions, refunds, disputes
    -- Listed subscriptions that a webhook told of: it is the same Stripe account.
    recognized bigint NOT NULL DEFAULT 0 CHECK (recognized >= 0),
    mended bigint NOT NULL DEFAULT 0 CHECK (mended >= 0),
    waiting bigint NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    unmended bigint NOT NULL DEFAULT 0 CHECK (unmended >= 0),
    -- Lists that Stripe refused, or of which only the newest were compared.
    not_compared bigint NOT NULL DEFAULT 0 CHECK (not_compared >= 0),
    notes text[] NOT NULL DEFAULT '{}',
    CONSTRAINT done_is_finished CHECK ((part = 'done') = (finished_at IS NOT NULL))
);
CREATE INDEX reconciliations_going ON reconciliations (id) WHERE finished_at IS NULL;

-- The last reconciliation in which Stripe listed each subscription.
CREATE TABLE sightings (
    subscription_id text PRIMARY KEY REFERENCES subscriptions ON DELETE RESTRICT,
    reconciliation_id bigint NOT NULL REFERENCES reconciliations ON DELETE RESTRICT
);

-- Events that a reconciliation fetched since no webhook brought them; written just before each.
CREATE TABLE fetched_events (
    event_id text PRIMARY KEY,
    reconciliation_id bigint NOT NULL REFERENCES reconciliations ON DELETE RESTRICT
);
