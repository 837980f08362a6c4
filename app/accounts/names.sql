-- name: is_anothers_customer
-- Whether this is the id of a customer of another account.
SELECT EXISTS (SELECT FROM customers WHERE id = :id AND account_id <> :account_id)

-- name: add_alias
-- Let an id that the account had go on to mean it.
INSERT INTO aliases (external_id, account_id, since) VALUES (:external_id, :account_id, tallybook_now())
ON CONFLICT (external_id) DO UPDATE SET account_id = excluded.account_id

-- name: take_name
-- Take an account's id away, and tell which it was.
WITH had AS (SELECT id, external_id FROM accounts WHERE id = :id)
UPDATE accounts SET external_id = NULL FROM had WHERE accounts.id = had.id RETURNING had.external_id

-- name: move_aliases
-- Let the ids that an account had before mean another.
UPDATE aliases SET account_id = :target WHERE account_id = :source

-- name: customers
-- The customers of an account: tied to it, paying for it, or with something left behind on it.
SELECT id FROM customers WHERE account_id = :account_id OR left_account_id = :account_id
 UNION
SELECT customer_id FROM subscriptions WHERE account_id = :account_id
 ORDER BY id

-- name: left_behind
-- The account that a customer left behind, without an id by which anybody could name it.
SELECT left_account_id FROM customers JOIN accounts ON accounts.id = left_account_id
 WHERE customers.id = :id AND external_id IS NULL AND joined_to IS NULL

-- name: left_no_more
-- What customers had left behind on an account is where they are now.
UPDATE customers SET left_account_id = NULL WHERE left_account_id = :source AND account_id = :target
