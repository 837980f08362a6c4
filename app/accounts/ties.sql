-- name: customer
-- A locked customer: its tie and all claims on it, one row for each claim, at least one.
SELECT account_id, customers.rank AS tie_rank, deleted_at, deleted_event_id,
       accounts.external_id AS tied_id, claims.*,
       (SELECT max(id) FROM catalogues) AS catalogue_id, tallybook_now() AS now
  FROM (VALUES (:customer_id::text)) AS asked (id)
  LEFT JOIN customers USING (id)
  LEFT JOIN accounts ON accounts.id = account_id
  LEFT JOIN claims ON claims.customer_id = asked.id

-- name: placed
-- The customer's subscriptions that stand on an account.
SELECT id, account_id, state FROM subscriptions
 WHERE customer_id = :customer_id AND account_id IS NOT NULL AND id <> :but ORDER BY id
