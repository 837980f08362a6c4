-- What each event says of a payment, in one form for all versions of Stripe's API.
CREATE TABLE money_facts (
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    kind text NOT NULL CHECK (kind IN ('session', 'capture', 'refund', 'charge', 'dispute')),
    object_id text NOT NULL,
    payment_intent text,
    charge_id text,
    occurred_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (event_id, kind, object_id)
);
CREATE INDEX money_facts_payment ON money_facts (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX money_facts_charge ON money_facts (charge_id) WHERE charge_id IS NOT NULL;
CREATE INDEX money_facts_object ON money_facts (object_id);

-- The money behind a purchased lot: what of the lot went back with it, and what is frozen.
CREATE TABLE backings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    lot_id bigint NOT NULL UNIQUE REFERENCES lots ON DELETE RESTRICT,
    credits bigint NOT NULL CHECK (credits BETWEEN 1 AND 1000000000000),
    closed boolean NOT NULL DEFAULT false, -- the purchase was reversed: money moves it no more
    -- A browser may have named the receiver: what falls short is not the receiver's debt.
    gift boolean NOT NULL DEFAULT false,
    payer_debt bigint NOT NULL DEFAULT 0 CHECK (payer_debt >= 0), -- but so much is the payer's

    taken bigint NOT NULL DEFAULT 0 CHECK (taken >= 0),
    -- Of what is taken:
    clawed bigint NOT NULL DEFAULT 0 CHECK (clawed >= 0),
    pending bigint NOT NULL DEFAULT 0 CHECK (pending >= 0),     -- held; taken at its release
    forgone bigint NOT NULL DEFAULT 0 CHECK (forgone >= 0),     -- had lapsed or was written off
    shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0), -- was spent: it became debt
    shortfall_reversed bigint NOT NULL DEFAULT 0
        CHECK (shortfall_reversed BETWEEN 0 AND shortfall),

    to_freeze bigint NOT NULL DEFAULT 0 CHECK (to_freeze >= 0),
    frozen bigint NOT NULL DEFAULT 0 CHECK (frozen BETWEEN 0 AND to_freeze),
    CONSTRAINT never_more_than_the_pack CHECK (taken + to_freeze <= credits),
    CONSTRAINT taken_is_told CHECK (clawed + pending + forgone + shortfall = taken)
);
CREATE INDEX backings_account ON backings (account_id);

-- Each payment for a pack, with the lot that it opened.
CREATE TABLE purchases (
    -- The payment intent, or the session if there is none: one payment opens one lot.
    payment_key text PRIMARY KEY,
    session_id text NOT NULL UNIQUE,
    payment_intent text,
    backing_id bigint NOT NULL UNIQUE REFERENCES backings ON DELETE RESTRICT,
    journal_id bigint NOT NULL UNIQUE REFERENCES journals ON DELETE RESTRICT,
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    customer_id text,
    pack text NOT NULL,
    credits bigint NOT NULL CHECK (credits BETWEEN 1 AND 1000000000000),
    -- In the currency's smallest unit, as Stripe counts.
    paid bigint NOT NULL CHECK (paid BETWEEN 0 AND 1000000000000),
    currency text,
    opened_at timestamptz NOT NULL
);

-- Each refund and dispute of a purchase once, and whether it counts; derived from money_facts.
-- A charge stands for the part of its amount_refunded beyond the refunds that are known.
CREATE TABLE money_back (
    kind text NOT NULL CHECK (kind IN ('refund', 'charge', 'dispute')),
    id text NOT NULL,
    payment_key text NOT NULL REFERENCES purchases ON DELETE RESTRICT,
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 1000000000000),
    standing text NOT NULL CHECK (standing IN ('out', 'counted', 'frozen')),
    PRIMARY KEY (kind, id)
);
CREATE INDEX money_back_payment ON money_back (payment_key);
