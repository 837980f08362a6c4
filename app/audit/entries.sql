-- name: of_journal
-- A journal's entries, in order.
SELECT * FROM audited_entries WHERE journal_id = :journal_id ORDER BY id

-- name: account_ids
-- The internal ids behind a public one: the account, and those that were joined to it.
WITH named AS (
    SELECT account_id AS id FROM known_ids WHERE external_id = :public_id
    UNION SELECT account_id FROM customers WHERE id = :public_id
)
SELECT accounts.id
  FROM accounts JOIN named ON accounts.id = named.id OR accounts.joined_to = named.id
 ORDER BY accounts.id

-- name: nth_up
-- The entry that comes after so many others.
SELECT id FROM entries WHERE id > :after ORDER BY id OFFSET :before_it LIMIT 1

-- name: nth_down
-- The same downwards.
SELECT id FROM entries WHERE id < :after ORDER BY id DESC OFFSET :before_it LIMIT 1
