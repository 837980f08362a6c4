-- name: tile
-- What stands beside a tile of level 0.
SELECT tile, entry_ids, salts FROM seal_leaves WHERE tile = :tile

-- name: before
-- How many entries these accounts have before one. Of the newest fewer come after than before.
SELECT account_id, entry_count - (SELECT count(*) FROM entries
                                   WHERE entries.account_id = seal_balances.account_id
                                     AND entries.id BETWEEN :entry_id AND seal_balances.entry_id)
       AS entries
  FROM seal_balances WHERE account_id = ANY(:account_ids::bigint[])
