-- name: journals
-- The spends and captures that an account returns of, with the account whose they were.
SELECT DISTINCT journals.id, entries.account_id, label, member
  FROM journals JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'spend'
  JOIN accounts ON accounts.id = entries.account_id
 WHERE coalesce(joined_to, accounts.id) = :account_id AND journals.kind IN ('spend', 'capture', 'part_capture')
   AND (journals.id = :journal_id::bigint OR entries.hold_id = :hold_id::bigint
        OR idempotency_key = :key::text
        OR journals.id IN (SELECT erased_keys.journal_id FROM erased_keys
                            WHERE key_hash = :key_hash::bytea AND NOT of_operator))
 ORDER BY journals.id

-- name: has_hold
-- Whether it is a hold of the account, or of one that was joined to it.
SELECT EXISTS (SELECT FROM holds JOIN accounts ON accounts.id = holds.account_id
                WHERE holds.id = :hold_id AND coalesce(joined_to, accounts.id) = :account_id)
