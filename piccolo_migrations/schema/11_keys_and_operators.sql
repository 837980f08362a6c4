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

-- Make a key, by its hash, as the console does. No key that may correct: those are made by the owner,
-- at the machine, so that who takes over a server or an operator's session makes none that outlives it.
CREATE FUNCTION add_api_key(
    key_id text, key_name text, key_scopes text[], key_hash bytea, key_expires_at timestamptz
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF 'operator' = ANY (key_scopes) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'a key that may correct is made by `tallybook keys create`';
    END IF;
    INSERT INTO api_keys
        (id, name, scopes, secret_hash, created_at, expires_at, networks)
    VALUES (key_id, key_name, key_scopes, key_hash, clock_timestamp(), key_expires_at, '{}');
END $$;

-- Revoke a key for good, whatever its scope; whether it was good. The server may do no more to keys.
CREATE FUNCTION revoke_api_key(key_id text) RETURNS boolean LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
    WITH revoked AS (
        UPDATE api_keys SET revoked_at = clock_timestamp()
         WHERE id = key_id AND revoked_at IS NULL RETURNING id)
    SELECT EXISTS (SELECT FROM revoked)
$$;

-- Who is signed in at the console: a cookie's hash, and the key that it stands for. By wall time, as
-- keys are judged.
CREATE TABLE console_sessions (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    key_id text NOT NULL REFERENCES api_keys ON DELETE RESTRICT,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL, -- to the minute
    ends_at timestamptz NOT NULL,
    notice jsonb -- what its next page says, once
);
CREATE INDEX console_sessions_key ON console_sessions (key_id);

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
