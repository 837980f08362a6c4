-- part: seen
-- Holds as they stand now: one past its deadline is expired, posted or not.
SELECT holds.*, public_id,
       CASE WHEN state = 'held' AND expires_at > tallybook_now() THEN 'held'
            WHEN captured > 0 THEN 'captured'
            WHEN state = 'held' THEN 'expired' ELSE state END AS present_state
  FROM holds JOIN account_names USING (account_id)

-- name: find_hold
-- A hold as it stands now, what it is for, and whether anything can be captured of it still: nothing
-- after a last capture or a release. Those that went on may have used it up, or its time may be over.
SELECT seen.*, taken.label, taken.member, expires_at <= tallybook_now() AS expired,
       state = 'released' OR EXISTS (
           SELECT FROM entries JOIN journals ON journals.id = journal_id
            WHERE hold_id = seen.id AND journals.kind = 'capture') AS closed
  FROM (
-- include: ledger/reserved.sql seen
) AS seen
  LEFT JOIN LATERAL (SELECT label, member FROM entries JOIN journals ON journals.id = journal_id
                      WHERE hold_id = seen.id ORDER BY entries.id LIMIT 1) AS taken ON true
 WHERE seen.id = :number

-- name: holds_of
-- One page of an account's holds, the newest first.
SELECT * FROM (
-- include: ledger/reserved.sql seen
) AS seen
 WHERE account_id = :account_id AND (:state::text IS NULL OR present_state = :state)
   AND id < :before
 ORDER BY id DESC LIMIT :limit
