-- name: lock
-- Wait for a sealer under way, and keep others from beginning before this transaction ends.
SELECT pg_advisory_xact_lock('seals'::regclass::oid::int, 0)

-- name: entries
-- The entries of these accounts' journals, also those of other accounts: they have the same texts.
-- include: seals/leaves.sql leaf
 WHERE entries.journal_id IN (
           SELECT journal_id FROM entries WHERE account_id = ANY(:account_ids::bigint[]))
 ORDER BY entries.id

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
