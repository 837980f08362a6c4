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

-- name: keep_hashes
-- Keep the hashes of what is erased of these entries,
INSERT INTO seal_erased AS kept (entry_id, act, text)
SELECT * FROM unnest(:entry_ids::bigint[], :acts::text[], :texts::text[]) AS gone (entry_id, act, text)
 WHERE num_nonnulls(act, text) > 0
    ON CONFLICT (entry_id) DO UPDATE SET act = coalesce(kept.act, excluded.act),
                                         text = coalesce(kept.text, excluded.text)

-- name: salts
-- and of the salts beside these tiles
SELECT tile, salts FROM seal_leaves WHERE tile = ANY(:tiles::bigint[])

-- name: write_salts
-- what is left of them.
UPDATE seal_leaves SET salts = gone.salts
  FROM unnest(:tiles::bigint[], :salts::bytea[]) AS gone (tile, salts)
 WHERE seal_leaves.tile = gone.tile
