-- name: close
-- Close an account.
UPDATE accounts SET closed_at = tallybook_now() WHERE id = :id

-- name: open_again
-- Open a closed account again.
UPDATE accounts SET closed_at = NULL WHERE id = :id

-- name: suspend
-- Suspend an account, or end that.
UPDATE accounts SET suspended_at = :suspended_at WHERE id = :id

-- name: last_day
-- The last day that an account had.
SELECT day_on, starts_at, opening, lot_id, carried_lot_id FROM daily_grants
 WHERE account_id = :id ORDER BY day_on DESC, opening DESC LIMIT 1
