-- name: entries
-- The entries of these accounts up to one, in the order of their ids.
-- include: seals/leaves.sql leaf
 WHERE entries.account_id = ANY(:account_ids::bigint[]) AND entries.id <= :up_to
 ORDER BY entries.id

-- name: unsealed
-- The first entry of these accounts after one.
SELECT min(id) FROM entries WHERE account_id = ANY(:account_ids::bigint[]) AND id > :after

-- name: leaves
-- What stands beside the tiles that would hold these entries.
SELECT tile, first_entry_id, entry_ids, salts FROM seal_leaves
 WHERE tile IN (
     SELECT (SELECT tile FROM seal_leaves WHERE first_entry_id <= entry_id
              ORDER BY first_entry_id DESC LIMIT 1)
       FROM unnest(:entry_ids::bigint[]) AS entry_id)
 ORDER BY tile
