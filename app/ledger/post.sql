-- name: lock
-- Lock these accounts in the order of their ids.
SELECT * FROM accounts WHERE id = ANY(:account_ids::bigint[]) ORDER BY id FOR UPDATE

-- name: look
-- The live lots of locked accounts, and in every row the clock and what was answered under these
-- keys: all for the price of one round trip. A snapshot of its own, taken after the locks, sees what
-- the last holder of a lock committed.
SELECT seen.*, lots.*
  FROM (SELECT greatest(tallybook_now(), (SELECT floor FROM book)) AS now, (
-- include: ledger/idempotency.sql answers_by_key
               ) AS answers,
-- include: ledger/idempotency.sql erased_by_key
               AS erased) AS seen
  LEFT JOIN lots ON lots.account_id = ANY(:account_ids::bigint[]) AND lots.live
