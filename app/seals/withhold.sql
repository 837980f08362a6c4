-- name: lock
-- Wait for a sealer under way, and keep others from beginning before this transaction ends.
SELECT pg_advisory_xact_lock('seals'::regclass::oid::int, 0)

-- name: accounts
-- The account and those joined to it.
SELECT id FROM accounts WHERE id = :account_id OR joined_to = :account_id ORDER BY id

-- name: keep_names
-- Forget the names and their salts of these accounts; the hashes stay.
UPDATE seal_names SET name = NULL, salt = NULL
 WHERE account_id = ANY(:account_ids::bigint[]) AND name IS NOT NULL

-- name: keep_texts
-- Keep the hashes of these entries' texts,
INSERT INTO seal_texts_erased (entry_id, hash)
SELECT * FROM unnest(:entry_ids::bigint[], :hashes::text[]) ON CONFLICT DO NOTHING

-- name: forget_salt
-- and forget the salt of an entry's text.
UPDATE seal_leaves SET salts = overlay(salts PLACING :nothing::bytea FROM :position::int)
 WHERE tile = :tile
