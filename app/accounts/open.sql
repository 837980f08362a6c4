-- name: find
-- The account behind the application's or the customer's id.
-- include: accounts/open.sql behind

-- part: behind
SELECT account_id FROM known_ids WHERE external_id = :public_id
 UNION ALL
SELECT account_id FROM customers WHERE id = :public_id AND account_id IS NOT NULL LIMIT 1

-- name: lock_named
-- Find accounts by their public ids, and lock those that nobody else has locked. A row without an
-- id is one that somebody has; an id that no account has is left out.
WITH named AS MATERIALIZED (
    SELECT external_id AS public_id, id FROM accounts
     WHERE external_id = ANY(:public_ids::text[])
    UNION ALL
    SELECT external_id, account_id FROM aliases
     WHERE external_id = ANY(:public_ids)
       AND NOT EXISTS (SELECT FROM accounts WHERE accounts.external_id = aliases.external_id)
    UNION ALL
    SELECT customers.id, account_id FROM customers
     WHERE customers.id = ANY(:public_ids) AND account_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM accounts WHERE external_id = customers.id)
       AND NOT EXISTS (SELECT FROM aliases WHERE external_id = customers.id)
), locked AS MATERIALIZED (
    SELECT * FROM accounts WHERE id = ANY(array(SELECT id FROM named)) ORDER BY id
       FOR UPDATE SKIP LOCKED
)
SELECT locked.*, named.public_ids
  FROM (SELECT id, array_agg(public_id) AS public_ids FROM named GROUP BY id) AS named
  LEFT JOIN locked ON locked.id = named.id

-- name: wait_and_lock_named
-- Find accounts by their public ids, and lock them in the order of their ids.
WITH named AS MATERIALIZED (
    SELECT external_id AS public_id, id FROM accounts
     WHERE external_id = ANY(:public_ids::text[])
    UNION ALL
    SELECT external_id, account_id FROM aliases
     WHERE external_id = ANY(:public_ids)
       AND NOT EXISTS (SELECT FROM accounts WHERE accounts.external_id = aliases.external_id)
    UNION ALL
    SELECT customers.id, account_id FROM customers
     WHERE customers.id = ANY(:public_ids) AND account_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM accounts WHERE external_id = customers.id)
       AND NOT EXISTS (SELECT FROM aliases WHERE external_id = customers.id)
)
SELECT accounts.*, array(SELECT public_id FROM named WHERE named.id = accounts.id) AS public_ids
  FROM accounts WHERE id = ANY(array(SELECT id FROM named)) ORDER BY id FOR UPDATE

-- name: is_a_customers
-- Whether a customer other than :besides is found by this id, and no account is named so.
SELECT EXISTS (SELECT FROM customers WHERE id = :external_id AND account_id IS NOT NULL
                                       AND id IS DISTINCT FROM :besides::text)
   AND NOT EXISTS (SELECT FROM known_ids WHERE external_id = :external_id)

-- name: known
-- The account that the application knows by this id, or knew by it.
SELECT account_id FROM known_ids WHERE external_id = :external_id LIMIT 1

-- name: insert
-- A new account, unless the id is taken; its day is not yet opened.
INSERT INTO accounts (external_id, tier, time_zone, due_at, opened_at)
SELECT :external_id::text, :tier, :time_zone, now, now
  FROM (SELECT tallybook_now() AS now) AS clock
 WHERE NOT EXISTS (SELECT FROM aliases WHERE external_id = :external_id)
ON CONFLICT (external_id) DO NOTHING RETURNING id

-- name: tie
-- Point the customer to the account.
INSERT INTO customers (id, account_id, rank, tied_at)
VALUES (:customer_id, :account_id, :rank, tallybook_now())
ON CONFLICT (id) DO UPDATE SET account_id = excluded.account_id, rank = excluded.rank,
                               tied_at = excluded.tied_at
