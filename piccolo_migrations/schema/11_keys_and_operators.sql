-- The API keys, by their hash.
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0
        AND scopes <@ ARRAY['service', 'auditor', 'operator', 'read', 'spend']),
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- From where the key may be used; from anywhere if empty. The cast fails on what is no network.
    networks text[] NOT NULL CHECK (networks::cidr[] IS NOT NULL)
);

-- When each key was last used, to the minute; written by the server, which writes no key.
CREATE TABLE key_uses (
    key_id text PRIMARY KEY REFERENCES api_keys ON DELETE RESTRICT,
    last_used_at timestamptz NOT NULL
);

-- What operators did, each with a reason.
CREATE TABLE operator_acts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text NOT NULL CHECK (actor <> ''), -- a key's id, or cli: and a user of the machine
    act text NOT NULL CHECK (act ~ '^[a-z_]{1,40}$'),
    reason text CHECK (reason <> ''),
    subject text CHECK (subject <> ''), -- a key, a catalogue, a reversal
    account_id bigint REFERENCES accounts ON DELETE RESTRICT,
    journal_id bigint REFERENCES journals ON DELETE RESTRICT,
    event_id text REFERENCES events ON DELETE RESTRICT,
    run_id bigint REFERENCES runs ON DELETE RESTRICT,
    at timestamptz NOT NULL,
    -- Of an act that is asked for under a key and has no journal of its own to keep it.
    idempotency_key text UNIQUE,
    request_hash bytea,
    CONSTRAINT key_has_hash CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
);
CREATE INDEX operator_acts_account ON operator_acts (account_id, id) WHERE account_id IS NOT NULL;

-- Idempotency keys of accounts that were erased: the text is gone from where it stood, and a keyed
-- hash of it finds the answer for a retry. Both hashes need TALLYBOOK_KEY_PEPPER, see
-- app/ledger/idempotency.py.
CREATE TABLE erased_keys (
    key_hash bytea NOT NULL,
    of_operator boolean NOT NULL, -- which of the two namespaces
    request_hash bytea NOT NULL,
    journal_id bigint REFERENCES journals ON DELETE RESTRICT,
    act_id bigint REFERENCES operator_acts ON DELETE RESTRICT,
    PRIMARY KEY (key_hash, of_operator),
    CONSTRAINT one_thing CHECK (num_nonnulls(journal_id, act_id) = 1)
);
