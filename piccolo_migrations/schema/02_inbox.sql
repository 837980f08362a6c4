-- Stripe's events as received, once each, with the newest verdict on their effects.
CREATE TABLE events (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY, -- the order of receipt; lists go by it
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
CREATE UNIQUE INDEX events_number ON events (number);
CREATE INDEX events_verdict ON events (verdict, number);
CREATE INDEX events_type ON events (type, number);
CREATE INDEX events_customer ON events (customer_id, number) WHERE customer_id IS NOT NULL;

-- Other bytes of an event that was parked: Stripe sends one event in the shape of each endpoint.
CREATE TABLE event_bodies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    received_at timestamptz NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX event_bodies_event ON event_bodies (event_id, id);

-- The verdict of each delivery of an event, and of each later try of its effects.
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    received_at timestamptz NOT NULL,
    verdict text NOT NULL CHECK (verdict IN
        ('applied', 'duplicate', 'stale', 'ignored', 'parked', 'refused', 'queued')),
    reason text NOT NULL
);
CREATE INDEX deliveries_event ON deliveries (event_id, id);
