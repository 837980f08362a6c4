-- part: columns
-- An account's row, the id that it is known by and those that it had before, the clock, its live
-- lots, the subscriptions that it receives, and the customers that are tied to it and not deleted in
-- Stripe, the best tie first: one snapshot of all that most accounts' answers need.
SELECT accounts.*, account_names.public_id,
       array(SELECT external_id FROM aliases WHERE aliases.account_id = accounts.id
                AND external_id IS DISTINCT FROM accounts.external_id
              ORDER BY since, external_id) AS aliases,
       greatest(tallybook_now(), (SELECT floor FROM book)) AS now,
       (SELECT max(id) FROM catalogues) AS newest_catalogue_id,
       array(SELECT lots FROM lots WHERE account_id = accounts.id AND live) AS live_lots,
       array(SELECT subscriptions FROM subscriptions WHERE account_id = accounts.id
              ORDER BY created_at, id) AS received,
       array(SELECT customers.id FROM customers
              WHERE account_id = accounts.id AND deleted_at IS NULL
              ORDER BY rank, tied_at, id) AS tied
  FROM accounts JOIN account_names ON account_names.account_id = accounts.id

-- name: read
-- The account of this internal id.
-- include: accounts/view.sql columns
 WHERE accounts.id = :id

-- name: read_named
-- The accounts behind ids, the applications' or the customers', each with the id that was asked for.
SELECT asked.public_id AS asked, named.*
  FROM unnest(:public_ids::text[]) AS asked (public_id)
 CROSS JOIN LATERAL (
           SELECT account_id FROM known_ids WHERE external_id = asked.public_id
            UNION ALL
           SELECT account_id FROM customers
            WHERE id = asked.public_id AND account_id IS NOT NULL LIMIT 1) AS behind
 CROSS JOIN LATERAL (
-- include: accounts/view.sql columns
            WHERE accounts.id = behind.account_id) AS named

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
