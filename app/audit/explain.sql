-- name: sides
-- The accounts' balances as posted.
SELECT sum(free)::bigint AS free, sum(held)::bigint AS held, sum(debt)::bigint AS debt
  FROM accounts WHERE id = ANY(:account_ids::bigint[])

-- name: lots
-- Lots with something left, in the order in which spends burn them.
SELECT * FROM lots WHERE account_id = ANY(:account_ids::bigint[]) AND live AND free + held > 0
 ORDER BY priority, expires_at, granted_at, id

-- name: behind_lots
-- The newest entries of each of these lots.
SELECT behind.* FROM unnest(:lot_ids::bigint[]) AS lot (id)
 CROSS JOIN LATERAL (SELECT * FROM audited_entries WHERE lot_id = lot.id
                      ORDER BY id DESC LIMIT :limit) AS behind

-- name: behind_debt
-- The newest entries that made or repaid debt.
SELECT * FROM audited_entries
 WHERE owner_id = ANY(:account_ids::bigint[]) AND 'debt' IN (debit, credit)
 ORDER BY id DESC LIMIT :limit
