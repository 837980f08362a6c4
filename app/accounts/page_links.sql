-- name: named
-- The account behind the application's or the customer's id, and when it was opened.
SELECT id, opened_at FROM accounts WHERE id = (
-- include: accounts/open.sql behind
       )

-- name: led_to
-- The account that an account's links lead to: itself, or the one that it was joined to.
SELECT coalesce(joined_to, id) AS present, opened_at, tallybook_now() AS now
  FROM accounts WHERE id = :number
