-- name: sides
-- The accounts' balances as posted.
SELECT sum(free)::bigint AS free, sum(held)::bigint AS held, sum(debt)::bigint AS debt
  FROM accounts WHERE id = ANY(:account_ids::bigint[])

-- name: lots
-- Lots with something left, in the order in which spends burn them.
SELECT * FROM lots WHERE account_id = ANY(:account_ids::bigint[]) AND live AND free + held > 0
 ORDER BY priority, expires_at, granted_at, id

-- name: lots_as_of
-- Lots with something left by the entries that were recorded until then, in the same order. A lot that
-- had something left then has so now, or was drawn from since: the history before is not read.
WITH since AS (
    SELECT id FROM lots WHERE account_id = ANY(:account_ids::bigint[]) AND live
     UNION
    SELECT lot_id FROM entries
     WHERE account_id = ANY(:account_ids::bigint[]) AND recorded_at > :as_of::timestamptz
)
SELECT id, source, granted_at, expires_at, stood.free, stood.held
  FROM since JOIN lots USING (id)
 CROSS JOIN LATERAL (
           SELECT sum(amount * ((credit = 'free')::int - (debit = 'free')::int))::bigint AS free,
                  sum(amount * ((credit = 'held')::int - (debit = 'held')::int))::bigint AS held
             FROM entries
            WHERE lot_id = lots.id AND recorded_at <= :as_of) AS stood
 WHERE stood.free + stood.held > 0
 ORDER BY priority, expires_at, granted_at, id

-- name: behind_lots
-- The newest entries of each of these lots, those that were recorded until then.
SELECT behind.* FROM unnest(:lot_ids::bigint[]) AS lot (id)
 CROSS JOIN LATERAL (SELECT * FROM audited_entries
                      WHERE lot_id = lot.id AND recorded_at <= :until::timestamptz
                      ORDER BY id DESC LIMIT :limit) AS behind

-- name: behind_debt
-- The newest entries that made or repaid debt, those that were recorded until then.
SELECT * FROM audited_entries
 WHERE owner_id = ANY(:account_ids::bigint[]) AND 'debt' IN (debit, credit)
   AND recorded_at <= :until::timestamptz
 ORDER BY id DESC LIMIT :limit
