-- name: tiles
-- What stands beside the next tiles of level 0 after one.
SELECT tile, entry_ids, salts FROM seal_leaves WHERE tile > :after ORDER BY tile LIMIT :limit

-- name: names
-- The names under which these accounts were sealed.
SELECT account_id, since_entry_id, name, salt, hash FROM seal_names
 WHERE account_id = ANY(:account_ids::bigint[]) ORDER BY account_id, since_entry_id

-- name: erased
-- What of these entries was erased, by its hashes.
SELECT entry_id, act, text FROM seal_erased WHERE entry_id = ANY(:entry_ids::bigint[])

-- name: seals
-- The next seals after a size, with the content that their catalogue has now.
SELECT size, entry_id, root, balances_root, horizon_at, note, catalogue_id,
       sha256(convert_to(content, 'UTF8')) AS catalogue_hash
  FROM seals LEFT JOIN catalogues ON catalogues.id = catalogue_id
 WHERE size > :after ORDER BY size LIMIT :limit
