-- name: balances
-- The newest :limit balances of these accounts since an instant, the newest first.
SELECT account_id, recorded_at, free_after + held_after - debt_after AS balance
  FROM entries
 WHERE account_id = ANY(:account_ids::bigint[]) AND recorded_at >= :since
 ORDER BY recorded_at DESC, id DESC LIMIT :limit

-- name: before
-- Their balances before it.
SELECT account.id AS account_id, free_after + held_after - debt_after AS balance
  FROM unnest(:account_ids::bigint[]) AS account (id)
  JOIN LATERAL (SELECT free_after, held_after, debt_after FROM entries
                 WHERE entries.account_id = account.id AND recorded_at < :since
                 ORDER BY recorded_at DESC, id DESC LIMIT 1) AS last ON true

-- name: transitions
-- The newest :limit steps of these accounts' subscriptions that were recorded in a time.
SELECT transitions.* FROM transitions
  JOIN subscriptions ON subscriptions.id = subscription_id
 WHERE subscriptions.account_id = ANY(:account_ids::bigint[])
   AND transitions.recorded_at > :after AND transitions.recorded_at <= :until
 ORDER BY transitions.id DESC LIMIT :limit

-- name: acts
-- What operators did to these accounts as a whole, in a time: no journal tells it.
SELECT * FROM operator_acts
 WHERE account_id = ANY(:account_ids::bigint[]) AND journal_id IS NULL
   AND at > :after AND at <= :until
 ORDER BY id DESC LIMIT :limit

-- name: granted
-- How much was granted of each of these lots.
SELECT id, granted FROM lots WHERE id = ANY(:lot_ids::bigint[])
