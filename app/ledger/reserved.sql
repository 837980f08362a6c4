-- part: seen
-- Holds as they stand now: one past its deadline is expired, posted or not.
SELECT holds.*, public_id,
       CASE WHEN state = 'held' AND expires_at <= tallybook_now() THEN 'expired' ELSE state END
           AS present_state
  FROM holds JOIN account_names USING (account_id)

-- name: find_hold
-- A hold as it stands now.
SELECT * FROM (
-- include: ledger/reserved.sql seen
) AS seen WHERE id = :number

-- name: holds_of
-- One page of an account's holds, the newest first.
SELECT * FROM (
-- include: ledger/reserved.sql seen
) AS seen
 WHERE account_id = :account_id AND (:state::text IS NULL OR present_state = :state)
   AND id < :before
 ORDER BY id DESC LIMIT :limit
