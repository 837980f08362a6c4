-- What each event says of its subscription, in one form for all versions of Stripe's API.
CREATE TABLE facts (
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    reading integer NOT NULL DEFAULT 1, -- above 1 it was read again, of other bytes: that counts
    subscription_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (event_id, reading)
);
CREATE INDEX facts_subscription ON facts (subscription_id, occurred_at);

-- The subscriptions as their facts derive them: state, Stripe's status beside it, and tier.
CREATE TABLE subscriptions (
    id text PRIMARY KEY,
    account_id bigint REFERENCES accounts ON DELETE RESTRICT, -- null: it never had a known price
    customer_id text NOT NULL REFERENCES customers ON DELETE RESTRICT,
    moved_at timestamptz, -- when it came from another account; null: it began here
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,

    state text NOT NULL CHECK (state IN ('created', 'active', 'past_due', 'canceled')),
    status text,
    price_id text,
    price_ids text[] NOT NULL DEFAULT '{}',
    period_end_at timestamptz,
    billing_cycle text,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    cancel_at timestamptz, -- flexible billing schedules an end by this alone

    tier text,       -- what it gives now, but for grace; null gives nothing
    grace_tier text, -- what it gives until grace_ends_at
    grace_ends_at timestamptz, -- by the catalogue that it was derived with; see failing_since
    -- The earliest failure since it was last in order; each day's catalogue tells the grace.
    failing_since timestamptz,
    -- The catalogue that it was derived with; if it is not the newest, the next tick derives it.
    catalogue_id bigint NOT NULL REFERENCES catalogues ON DELETE RESTRICT,

    last_event_id text REFERENCES events ON DELETE RESTRICT,
    last_event_at timestamptz,
    -- The fold of all facts up to settled_to, by this catalogue; newer facts go on from there.
    settled jsonb,
    settled_to timestamptz,
    settled_catalogue_id bigint REFERENCES catalogues ON DELETE RESTRICT
);
CREATE INDEX subscriptions_account ON subscriptions (account_id);
CREATE INDEX subscriptions_state ON subscriptions (state, account_id);
CREATE INDEX subscriptions_customer ON subscriptions (customer_id);
CREATE INDEX subscriptions_catalogue ON subscriptions (catalogue_id, id) WHERE state <> 'canceled';

-- What was used of the days of accounts that a subscription left. It lowers what the subscription
-- gives in every day that starts before until_at, but for days of that account itself.
CREATE TABLE moved_use (
    subscription_id text NOT NULL REFERENCES subscriptions ON DELETE RESTRICT,
    from_account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    until_at timestamptz NOT NULL, -- when the day ends on which it was used
    amount bigint NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (subscription_id, from_account_id, until_at)
);

-- Each step of a subscription's state machine.
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
