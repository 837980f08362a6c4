-- name: account
-- An account's row, with the id that it is known by, and those that it had before.
SELECT accounts.*, account_names.public_id,
       array(SELECT external_id FROM aliases WHERE aliases.account_id = accounts.id
                AND external_id IS DISTINCT FROM accounts.external_id
              ORDER BY since, external_id) AS aliases
  FROM accounts JOIN account_names ON account_names.account_id = accounts.id
 WHERE accounts.id = :id

-- name: subscriptions
-- The subscriptions that the account receives.
SELECT * FROM subscriptions WHERE account_id = :account_id ORDER BY created_at, id

-- name: customers
-- The customers that are tied to the account and not deleted in Stripe, the best tie first.
SELECT id FROM customers WHERE account_id = :account_id AND deleted_at IS NULL
 ORDER BY rank, tied_at, id

-- name: named
-- The accounts behind many ids, the applications' or their customers'.
SELECT named.asked, accounts.*
  FROM (SELECT external_id AS asked, account_id FROM known_ids
         WHERE external_id = ANY(:public_ids::text[])
         UNION ALL
        SELECT customers.id, account_id FROM customers
         WHERE customers.id = ANY(:public_ids) AND account_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM known_ids WHERE external_id = customers.id)) AS named
  JOIN accounts ON accounts.id = named.account_id
