-- Signed heads over the ledger, see app/seals/README.md. No key here references entries or accounts:
-- looking them up would lock rows that spends wait for.

-- Each seal: the head of the log at a size, with what it says of the balances, signed.
CREATE TABLE seals (
    size bigint PRIMARY KEY CHECK (size > 0), -- leaves in the log
    entry_id bigint NOT NULL UNIQUE, -- the last of them
    root bytea NOT NULL,
    balances_root bytea NOT NULL,
    horizon_at timestamptz NOT NULL, -- all that was recorded up to then is in the log
    sealed_at timestamptz NOT NULL,
    catalogue_id bigint REFERENCES catalogues ON DELETE RESTRICT,
    note text NOT NULL, -- the checkpoint with the book's own signatures
    receipt bytea NOT NULL -- the signature of its COSE receipts
);

-- Words of witnesses that saw a seal after those before it.
CREATE TABLE seal_cosignatures (
    size bigint NOT NULL REFERENCES seals ON DELETE RESTRICT,
    witness text NOT NULL,
    line text NOT NULL,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (size, witness)
);

-- Every public key by which a seal was signed.
CREATE TABLE seal_keys (
    verifier_key text PRIMARY KEY, -- name+hash+key
    first_size bigint NOT NULL
);

-- The log's hashes, 256 to a row.
CREATE TABLE seal_tiles (
    level smallint NOT NULL,
    tile bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, tile)
);
ALTER TABLE seal_tiles ALTER hashes SET STORAGE EXTERNAL; -- hashes are not compressed

-- Beside each tile of level 0: its entries' ids, 8 bytes each, and their salts, 32 bytes each.
CREATE TABLE seal_leaves (
    tile bigint PRIMARY KEY,
    first_entry_id bigint NOT NULL UNIQUE,
    entry_ids bytea NOT NULL,
    salts bytea NOT NULL
);
-- Salts cannot be compressed, and for ids PostgreSQL's compression takes 3 ms a row, a third of a seal.
ALTER TABLE seal_leaves ALTER salts SET STORAGE EXTERNAL;
ALTER TABLE seal_leaves ALTER entry_ids SET STORAGE EXTERNAL;

-- The names under which accounts were sealed, from an entry on; erased ones keep the hash alone.
CREATE TABLE seal_names (
    account_id bigint NOT NULL,
    since_entry_id bigint NOT NULL,
    name text,
    salt bytea,
    hash text,
    PRIMARY KEY (account_id, since_entry_id),
    CONSTRAINT salted CHECK ((name IS NULL) = (salt IS NULL))
);

-- Of each entry of which something was erased, the hashes of what no longer stands elsewhere.
CREATE TABLE seal_erased (
    entry_id bigint PRIMARY KEY,
    act text, -- who acted, under a key that was erased
    text text
);

-- Each account as the newest seal has it.
CREATE TABLE seal_balances (
    account_id bigint PRIMARY KEY,
    entry_id bigint NOT NULL,
    entry_count bigint NOT NULL,
    free bigint NOT NULL,
    held bigint NOT NULL,
    debt bigint NOT NULL
) WITH (fillfactor = 80);

-- The Merkle sum tree over them, 16 nodes to a row.
CREATE TABLE seal_balance_tiles (
    level smallint NOT NULL,
    tile bigint NOT NULL,
    nodes bytea NOT NULL,
    PRIMARY KEY (level, tile)
) WITH (fillfactor = 80);

-- How a leaf tells an instant: in UTC, with six digits of a second or none.
CREATE FUNCTION leaf_instant(instant timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN replace(to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z');
